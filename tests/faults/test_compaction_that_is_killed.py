"""kill -9 while chunks become segments, segments are merged, old records let go of and files removed: each record that
is to be kept is there once, and what is gone was let go of as a whole and is told of."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from compacting import AGE, BRIEF, KEPT, RETENTION, STALE
from desk import START, Desk
from tocsin.alerts.pattern_model import pattern_counts, patterns
from tocsin.logs import catalogue
from tocsin.logs.expiry import Expiry
from tocsin.logs.record import Record
from tocsin.logs.service import LogQuery
from tocsin.proof.ledger import verify
from tocsin.settings import Settings

ROUNDS = int(os.environ.get("TOCSIN_FAULT_ROUNDS", "5"))


@dataclass
class Acknowledged:
    """Ids that a process answered for, until it was killed; `young` were not old enough to go at any time before."""

    kept: set[int] = field(default_factory=set)
    young: set[int] = field(default_factory=set)


def run_and_kill(settings: Settings, *, days: int, seconds: float) -> Acknowledged:
    arguments = [str(settings.data_dir), settings.database_secret or "", str(days)]
    script = str(Path(__file__).with_name("compacting.py"))
    child = subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = [child.stdout.readline()]
    time.sleep(seconds)
    child.kill()
    lines += child.stdout.readlines()
    child.wait()
    child.stdout.close()

    said = [line.split() for line in lines if line.endswith("\n")]
    clock = max((int(words[1]) for words in said if words[0] == "clock"), default=0)
    found = Acknowledged()
    for first, last, at in (map(int, words[1:]) for words in said if words[0] == "stored"):
        assert last - first + 1 == KEPT + BRIEF + STALE
        found.kept |= set(range(first, first + KEPT))
        if at >= clock - AGE.total_seconds() * 1_000_000:
            found.young |= set(range(first + KEPT, first + KEPT + BRIEF))
    return found


def all_records(desk: Desk) -> list[Record]:
    found: list[Record] = []
    query = LogQuery(limit=1000)
    while True:
        page = desk.reader.search(query)
        assert page.scanned.damaged == 0
        found += page.items
        if page.next is None:
            return found
        query = LogQuery(limit=1000, cursor=page.next)


def check_books(desk: Desk, records: list[Record]) -> None:
    """What was stored, acknowledged or not, is there or was let go of and told of; nothing is told of twice."""
    stored = sum(event.data["accepted"] for event in desk.events(kind="LogsStored"))
    expired = sum(event.data["records"] for event in desk.events(kind="LogsExpired"))
    assert len(records) + expired == stored
    services = Counter(record.service for record in records)
    assert services["kept"] * (KEPT + BRIEF + STALE) == stored * KEPT
    # Each is counted as a pattern once, when it leaves the hot chunks, and stays counted when it is let go of.
    counted = (func.sum(patterns.c.records), func.count())
    by_pattern, kinds = desk.database.read(lambda tx: tx.execute(select(*counted)).one())
    by_hour = desk.database.read(lambda tx: tx.execute(select(func.sum(pattern_counts.c.n))).scalar_one())
    assert (by_pattern or 0) == (by_hour or 0) == stored - desk.reader.stats().hot_records
    assert kinds <= 1


def check_ledger(desk: Desk) -> None:
    """What is gone was on sealed books before: they balance without it, and each commit is on them once."""
    assert all(event.data["sealed"] for event in desk.events(kind="LogsExpired"))
    stored = sum(event.data["accepted"] for event in desk.events(kind="LogsStored"))
    found = verify(desk.database, desk.reader, START - timedelta(days=1), desk.clock.now())
    assert (found.balanced, found.gaps, found.accepted, found.stored, found.expired) == (True, [], stored, stored, 0)
    assert any(hour.sealed for hour in found.hours)


@pytest.mark.slow
def test_nothing_that_is_kept_is_lost_or_doubled(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    chance = random.Random(7)
    kept: set[int] = set()
    told = let_go_by_the_killed = 0
    for round_ in range(ROUNDS):
        acknowledged = run_and_kill(settings, days=round_, seconds=chance.uniform(0.1, 1.2))
        kept |= acknowledged.kept

        desk = open_desk(settings)
        let_go_by_the_killed += len(desk.events(kind="LogsExpired")) - told
        records = all_records(desk)
        ids = {record.id for record in records}
        assert len(ids) == len(records), "kept twice"
        missing = (kept | acknowledged.young) - ids
        assert not missing, f"{len(missing)} acknowledged records are lost"
        check_books(desk, records)

        end_of_day = START + timedelta(days=round_, hours=23)
        desk.clock.advance(seconds=(end_of_day - desk.clock.now()).total_seconds())
        desk.compact(records=60)
        Expiry(desk.database, desk.compactor, RETENTION, seal=desk.sealer.seal).run()
        left = all_records(desk)
        assert [record.id for record in left] == [record.id for record in records if record.service == "kept"]
        check_books(desk, left)
        desk.clock.advance(minutes=2)
        desk.compact(records=60)
        assert {one.key for one in desk.objects.keys()} == desk.database.read(catalogue.known_keys)  # noqa: SIM118
        assert desk.reader.stats().segments > 0
        told = len(desk.events(kind="LogsExpired"))
        check_ledger(desk)
    assert len(kept) > 6 * ROUNDS
    assert let_go_by_the_killed > 0
