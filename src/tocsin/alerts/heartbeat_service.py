"""Use cases of heartbeats: keep them, show how they are doing, take check-ins, which are ordinary records."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin.alerts import absence_store, rule_service, rule_store
from tocsin.alerts.grouping import group_of
from tocsin.alerts.heartbeats import (
    PREFIX,
    SOURCE,
    Heartbeat,
    Pulse,
    check,
    heartbeat_of,
    pulse_of,
    rule_of_heartbeat,
)
from tocsin.alerts.rule_store import RuleRow
from tocsin.kit.actors import Actor
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound
from tocsin.logs.decode import decode
from tocsin.logs.intake import Intake, Outcome, Stored, Submission
from tocsin.storage.database import Database
from tocsin.storage.idempotency import Answer, KeyedRequest
from tocsin.storage.tx import ReadTx, Tx

PATIENCE_S: Final = 30.0
_CURSOR: Final = "heartbeats"


@dataclass(frozen=True, slots=True)
class Watched:
    """A heartbeat with its rule, how it is doing, and the alert that is open about it with its ticket."""

    heartbeat: Heartbeat
    row: RuleRow
    pulse: Pulse
    alert_id: int | None
    ticket_id: int | None


def get(tx: ReadTx, name: str) -> Watched:
    """One heartbeat. Raises NotFound."""
    row = rule_store.get(tx, PREFIX + name)
    found = [] if row is None else _watched(tx, [row])
    if not found:
        raise NotFound(what="heartbeat", id=name)
    return found[0]


def _watched(tx: ReadTx, rows: Sequence[RuleRow]) -> list[Watched]:
    """The heartbeats among these rules, as they are now."""
    kept = [(row, heartbeat) for row in rows if (heartbeat := heartbeat_of(row.rule)) is not None]
    key_of = {row.rule.name: (row.rule.name, group_of(row.rule.name, (), ())) for row, _ in kept}
    groups = absence_store.find(tx, key_of.values())
    alerts = absence_store.open_alerts(tx, [fingerprint for _, fingerprint in key_of.values()])
    found = []
    for row, heartbeat in kept:
        key = key_of[row.rule.name]
        pulse = pulse_of(heartbeat, groups.get(key), tx.now)
        found.append(Watched(heartbeat, row, pulse, *alerts.get(key[1], (None, None))))
    return found


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[Watched], str | None]:
    """A page of heartbeats by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _CURSOR, str)[0])
    rows = database.read(lambda tx: rule_store.page(tx, after=after, limit=limit + 1, prefix=PREFIX))
    items = rows[:limit]
    more = encode_cursor(_CURSOR, items[-1].rule.name) if len(rows) > limit else None
    return database.read(lambda tx: _watched(tx, items)), more


def save(tx: Tx, heartbeat: Heartbeat, *, seen_version: int | None = None) -> tuple[Watched, bool]:
    """Make or replace a heartbeat, and whether it is new.

    Raises Invalid, Conflict when another kind of rule has its name; with `seen_version`, PreconditionFailed.
    """
    check(heartbeat)
    before = rule_store.get(tx, PREFIX + heartbeat.name)
    if before is not None and heartbeat_of(before.rule) is None:
        raise Conflict(detail=f"there is a rule {before.rule.name} that is no heartbeat; rename or remove it first")
    rule = rule_of_heartbeat(heartbeat, None if before is None else before.rule)
    _, is_new = rule_service.save(tx, rule, seen_version=seen_version)
    return get(tx, heartbeat.name), is_new


def ensure(database: Database, heartbeat: Heartbeat, *, actor: Actor) -> Heartbeat:
    """The heartbeat of that name, which is made if there is none. Raises Invalid, Conflict."""
    check(heartbeat)
    row = database.read(lambda tx: rule_store.get(tx, PREFIX + heartbeat.name))
    known = None if row is None else heartbeat_of(row.rule)
    if known is not None:
        return known
    database.write(lambda tx: save(tx, heartbeat), actor=actor)
    return heartbeat


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> Watched:
    """Watch it no longer; its check-ins, alerts and tickets stay. Raises NotFound, PreconditionFailed."""
    found = get(tx, name)
    rule_service.remove(tx, PREFIX + name, seen_version=seen_version)
    return found


def check_in(
    database: Database,
    intake: Intake,
    name: str,
    *,
    message: str,
    actor: Actor,
    keyed: KeyedRequest | None,
    answer: Callable[[Stored], Answer],
) -> Answer:
    """Store a check-in as a record and wait for its commit; a repeat of a keyed request gets the first answer."""
    record = {"service": name, "source": SOURCE, "level": "INFO", "message": message}
    body = msgspec.json.encode(record)
    batch = decode(body, lines=False, arrived=database.clock.now())
    done: Future[Outcome] = Future()
    intake.submit(
        Submission(
            columns=batch.columns,
            rejected=0,
            backfill=False,
            size_bytes=len(body),
            actor=actor,
            resolve=done.set_result,
            keyed=keyed,
            answer=answer,
        )
    )
    outcome = done.result(PATIENCE_S)
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, Answer):
        return Answer(outcome.status, {**outcome.headers, "idempotency-replayed": "true"}, outcome.body)
    return answer(outcome)
