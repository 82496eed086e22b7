"""The patterns of all records: counted once when they become segments, merged and split, by the miner and by hand."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from desk import ANA, RUI, START, Desk, info
from tocsin.alerts.counting import NOT_MINED, OTHER_SERVICES, FoldHours, PatternCounter
from tocsin.alerts.mining import Miner
from tocsin.alerts.pattern_model import miner_state, pattern_counts, patterns
from tocsin.settings import Settings


def counts(desk: Desk) -> dict[str, int]:
    """Records by template, as they were counted."""
    statement = select(patterns.c.template, patterns.c.records)
    return {row.template: row.records for row in desk.database.read(lambda tx: list(tx.execute(statement)))}


def in_all(desk: Desk) -> tuple[int, int]:
    """All records that were counted: by pattern, and by pattern, hour and service."""
    sums = (select(func.sum(patterns.c.records)), select(func.sum(pattern_counts.c.n)))
    whole, parts = (desk.database.read(lambda tx, s=s: int(tx.execute(s).scalar_one() or 0)) for s in sums)
    return whole, parts


def orders(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [info(f"order {k} paid by card {k * 7}", service="shop") for k in range(start, start + n)]


def logins(n: int) -> list[dict[str, Any]]:
    return [info(f"login from 10.0.0.{k} accepted", service="accounts") for k in range(n)]


def test_every_record_is_counted_once_when_it_becomes_a_segments(desk: Desk) -> None:
    desk.post(*orders(30), *logins(12))
    assert counts(desk) == {}
    desk.compact(records=20)
    expected = {"order <*> paid by card <*>": 30, "login from <*> accepted": 12}
    assert counts(desk) == expected
    desk.post(*orders(8))
    desk.compact(records=20)
    for _ in range(3):
        desk.clock.advance(minutes=5)
        desk.compact()  # merges what is small
    assert counts(desk) == {**expected, "order <*> paid by card <*>": 38}
    assert in_all(desk) == (50, 50)


def test_a_restart_in_the_middle_gives_the_same(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    words = "alpha bravo carol delta echo fox golf hotel india jade kilo lima".split()
    messages = [f"user {word} opened page {n} of {words[(n * 5) % 12]}" for n, word in enumerate(words * 4)]
    whole = [miner_of(messages)]
    for start in range(0, len(messages), 8):
        desk = open_desk(settings)  # with nothing in memory
        desk.clock.advance(minutes=3)  # until the lease of the one before has ended
        desk.post(*[info(text) for text in messages[start : start + 8]])
        desk.compact()
    assert sum(counts(desk).values()) == len(messages)
    shown = select(patterns.c.template).where(patterns.c.merged_into.is_(None))
    assert set(desk.database.read(lambda tx: list(tx.execute(shown).scalars()))) == whole[0]


def miner_of(messages: Sequence[str]) -> set[str]:
    """The templates that a miner has at the end."""
    miner = Miner()
    groups = [miner.group_of(text) for text in messages]
    return {miner.template(group) for group in groups}


def test_the_state_is_saved_only_when_something_was_learned(desk: Desk) -> None:
    tokens: list[str] = []
    for start in (0, 100, 200):
        desk.post(*orders(10, start))
        desk.compact()
        tokens.append(desk.database.read(lambda tx: tx.execute(select(miner_state.c.token)).scalar_one()))
    assert tokens[0]
    assert tokens[0] == tokens[1] == tokens[2]
    assert counts(desk) == {"order <*> paid by card <*>": 30}


def test_a_state_that_can_not_be_read_is_learned_again(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    first = open_desk(settings)
    first.post(*orders(10))
    first.compact()
    first.database.write(lambda tx: tx.execute(miner_state.update().values(dump=b"nonsense", token="x")), actor=ANA)
    second = open_desk(settings)
    second.clock.advance(minutes=3)
    second.post(*orders(10))
    second.compact()
    assert counts(second) == {"order <*> paid by card <*>": 20}


class Broken(Miner):
    """A miner with a bug."""

    def group_of(self, message: str) -> int:
        if "poison" in message:
            raise RecursionError("went astray")
        return super().group_of(message)


def test_what_can_not_be_mined_is_compacted_and_counted_all_the_same(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.compactor.count = PatternCounter(desk.database, desk.metrics, make_miner=Broken).count
    desk.post(*orders(5))
    desk.compact()
    desk.post(*orders(5), info("poison"))
    desk.compact()
    assert desk.reader.stats().hot_records == 0
    assert counts(desk) == {"order <*> paid by card <*>": 5, NOT_MINED: 6}
    assert in_all(desk) == (11, 11)
    assert desk.metrics.registry.get_sample_value("tocsin_logs_not_mined_total") == 6
    assert "not_mined" in capsys.readouterr().out
    desk.post(*orders(5))
    desk.compact()
    assert counts(desk) == {"order <*> paid by card <*>": 10, NOT_MINED: 6}


def test_texts_that_a_database_does_not_take_are_counted(desk: Desk) -> None:
    long = " ".join(f"word{chr(97 + n % 26)}{'é' * 20}{chr(97 + n // 26)}" for n in range(80))
    desk.post(info("a \x01 \u2028 b"), info(""), info("  \n"), info("(not mined)"), info(long), info("x" * 200_000))
    desk.compact()
    assert in_all(desk) == (6, 6)
    assert desk.metrics.registry.get_sample_value("tocsin_logs_not_mined_total") == 0


def test_services_beyond_the_bound_are_counted_together(desk: Desk) -> None:
    desk.post(*[info("tick", service=f"s{n}") for n in range(70)])
    desk.compact()
    statement = select(pattern_counts.c.n).where(pattern_counts.c.service == OTHER_SERVICES)
    assert desk.database.read(lambda tx: tx.execute(statement).scalar_one()) == 20
    assert in_all(desk) == (70, 70)


def test_old_hours_are_counted_by_their_days(desk: Desk) -> None:
    desk.post(*[info("tick", timestamp=(START - timedelta(hours=n)).isoformat()) for n in range(48)])
    desk.post(*[info("tick", timestamp=(START - timedelta(days=30, hours=n)).isoformat()) for n in range(24)])
    desk.compact()
    rows = select(func.count()).select_from(pattern_counts)
    assert desk.database.read(lambda tx: tx.execute(rows).scalar_one()) == 48 + 2
    desk.clock.advance(days=20)
    FoldHours(desk.database).run()
    FoldHours(desk.database).run()
    assert desk.database.read(lambda tx: tx.execute(rows).scalar_one()) == 3 + 2
    assert in_all(desk) == (72, 72)
