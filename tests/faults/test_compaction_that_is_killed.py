"""kill -9 while chunks become segments, segments are merged and files are removed: each record is there once."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from desk import Desk
from tocsin.logs.service import LogQuery
from tocsin.settings import Settings

ROUNDS = int(os.environ.get("TOCSIN_FAULT_ROUNDS", "5"))


def all_ids(desk: Desk) -> list[int]:
    found: list[int] = []
    query = LogQuery(limit=1000)
    while True:
        page = desk.reader.search(query)
        assert page.scanned.damaged == 0
        found += [record.id for record in page.items]
        if page.next is None:
            return found
        query = LogQuery(limit=1000, cursor=page.next)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    chance = random.Random(7)
    acknowledged: set[int] = set()
    script = Path(__file__).with_name("compacting.py")
    for _ in range(ROUNDS):
        arguments = [str(settings.data_dir), settings.database_secret or ""]
        child = subprocess.Popen([sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(chance.uniform(0.1, 1.2))
        child.kill()
        for line in [first, *child.stdout]:
            if line.endswith("\n"):
                low, high = map(int, line.split())
                acknowledged |= set(range(low, high + 1))
        child.wait()
        child.stdout.close()

        desk = open_desk(settings)
        before = all_ids(desk)
        assert len(before) == len(set(before)), "kept twice"
        assert acknowledged <= set(before), f"{len(acknowledged - set(before))} acknowledged records are lost"
        desk.clock.advance(minutes=30)
        desk.compact(records=60)
        assert all_ids(desk) == before
        assert desk.reader.stats().segments > 0
    assert len(acknowledged) > 10 * ROUNDS
