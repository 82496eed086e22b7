"""The patterns of all records: counted once when they become segments, merged and split, by the miner and by hand."""

import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from desk import ANA, RUI, START, Desk, info
from tocsin.alerts import patterns as service
from tocsin.alerts.counting import MAX_TEXTS, NOT_MINED, OTHER_SERVICES, FoldHours, PatternCounter
from tocsin.alerts.merging import Change, roots
from tocsin.alerts.mining import Miner
from tocsin.alerts.pattern_model import miner_state, pattern_counts, patterns
from tocsin.alerts.patterns import PatternQuery
from tocsin.kit.errors import Conflict, Invalid, NotFound
from tocsin.settings import Settings
from tocsin.storage.tx import Tx

ORDER = "order <*> paid by card <*>"
LOGIN = "login from <*> accepted"


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
    expected = {ORDER: 30, LOGIN: 12}
    assert counts(desk) == expected
    desk.post(*orders(8))
    desk.compact(records=20)
    for _ in range(3):
        desk.clock.advance(minutes=5)
        desk.compact()  # merges what is small
    assert counts(desk) == {**expected, ORDER: 38}
    assert in_all(desk) == (50, 50)


def test_a_restart_in_the_middle_gives_the_same(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    words = ["alpha", "bravo", "carol", "delta", "echo", "fox", "golf", "hotel", "india", "jade", "kilo", "lima"]
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
    assert counts(desk) == {ORDER: 30}


def test_a_state_that_can_not_be_read_is_learned_again(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    first = open_desk(settings)
    first.post(*orders(10))
    first.compact()
    first.database.write(lambda tx: tx.execute(miner_state.update().values(dump=b"nonsense", token="x")), actor=ANA)
    second = open_desk(settings)
    second.clock.advance(minutes=3)
    second.post(*orders(10))
    second.compact()
    assert counts(second) == {ORDER: 20}


def test_what_follows_from_a_state_that_another_worker_has_replaced_is_done_again(desk: Desk) -> None:
    desk.post(*orders(5))
    desk.compact()
    own = desk.compactor.count
    looks: list[int] = []

    def overtaken(frame: pl.DataFrame) -> Callable[[Tx], None]:
        write = own(frame)
        if not looks:
            desk.database.write(lambda tx: tx.execute(miner_state.update().values(token="another's")), actor=ANA)
        looks.append(len(frame))
        return write

    desk.compactor.count = overtaken
    desk.post(*orders(5), *logins(2))
    desk.compact()
    assert (looks, desk.reader.stats().hot_records) == ([7], 7)
    desk.compact()
    assert looks == [7, 7]
    assert counts(desk) == {ORDER: 10, LOGIN: 2}


def test_counts_that_can_not_be_written_do_not_stop_compaction(desk: Desk) -> None:
    desk.post(*orders(5))
    desk.compact()
    failed: list[str] = []

    def fail_once(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO pattern_counts") and not failed:
            failed.append(statement)
            raise RuntimeError("a bug in a statement")

    desk.post(*orders(4), *logins(2))
    event.listen(desk.database.dialect.writers, "before_cursor_execute", fail_once)
    desk.compact()
    event.remove(desk.database.dialect.writers, "before_cursor_execute", fail_once)
    assert (len(failed), desk.reader.stats().hot_records) == (1, 0)
    assert counts(desk) == {ORDER: 5, NOT_MINED: 6}
    desk.post(*logins(2))
    desk.compact()
    assert in_all(desk) == (13, 13)
    assert counts(desk)[LOGIN] == 2


def test_more_kinds_of_texts_than_are_looked_at_are_counted_all_the_same(
    sqlite_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(sqlite_settings)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ["".join(name) for name in itertools.islice(itertools.product(letters, repeat=4), MAX_TEXTS)]
    desk.post(*[info(f"hello {name}") for name in names], *orders(10))
    desk.compact()
    assert counts(desk)[NOT_MINED] == 1
    assert counts(desk)[ORDER] == 10
    assert in_all(desk) == (MAX_TEXTS + 10, MAX_TEXTS + 10)


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
    assert counts(desk) == {ORDER: 5, NOT_MINED: 6}
    assert in_all(desk) == (11, 11)
    assert desk.metrics.registry.get_sample_value("tocsin_logs_not_mined_total") == 6
    assert "not_mined" in capsys.readouterr().out
    desk.post(*orders(5))
    desk.compact()
    assert counts(desk) == {ORDER: 10, NOT_MINED: 6}


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


# Merges and splits.


def listed(desk: Desk, **query: Any) -> dict[str, int]:
    """Counts by template, as they are shown."""
    return {
        one.summary.pattern.template: one.summary.count for one in service.find(desk.database, PatternQuery(**query))[0]
    }


def id_of(desk: Desk, template: str) -> int:
    same = select(patterns.c.id).where(patterns.c.template == template)
    return int(desk.database.read(lambda tx: tx.execute(same).scalar_one()))


def test_what_the_miner_merges_is_shown_and_summed_as_one(desk: Desk) -> None:
    words = ["alpha", "bravo", "carol", "delta", "echo", "fox", "golf", "hotel", "india", "jade", "kilo", "lima"]
    for start in range(0, 12, 2):
        desk.post(*[info(f"user {word} opened the door") for word in words[start : start + 2]])
        desk.compact()
    assert len(counts(desk)) > 1
    assert listed(desk) == {"user <*> opened the door": 12}
    [shown] = service.find(desk.database, PatternQuery())[0]
    assert service.get(desk.database, shown.summary.pattern.id).aliases
    assert in_all(desk) == (12, 12)


def test_a_merge_by_hand_holds_for_later_records_and_is_undone(desk: Desk) -> None:
    desk.post(*orders(5), *logins(3))
    desk.compact()
    login, order = id_of(desk, LOGIN), id_of(desk, ORDER)
    change = desk.database.write(lambda tx: service.merge(tx, login, order), actor=ANA)
    assert listed(desk) == {ORDER: 8}
    desk.post(*logins(4))
    desk.compact()
    assert listed(desk) == {ORDER: 12}
    assert listed(desk, text="LOGIN") == {ORDER: 12}  # found by what it stands for
    with pytest.raises(Conflict):
        desk.database.write(lambda tx: service.merge(tx, order, login), actor=ANA)

    undone = desk.database.write(lambda tx: service.undo(tx, change.id), actor=RUI)
    assert listed(desk) == {ORDER: 5, LOGIN: 7}
    assert (undone.actor, undone.undone_by) == (str(ANA), str(RUI))
    told = [(one.kind, one.actor) for one in desk.events(f"pattern:{login}")]
    assert told == [("PatternMerged", str(ANA)), ("PatternChangeUndone", str(RUI))]
    with pytest.raises(Conflict):
        desk.database.write(lambda tx: service.undo(tx, change.id), actor=RUI)


def test_what_people_merged_stays_together_when_the_miner_merges_one_of_them(desk: Desk) -> None:
    words = ["alpha", "bravo", "carol", "delta", "echo", "fox", "golf", "hotel", "india", "jade", "kilo", "lima"]
    desk.post(info("user alpha opened the door"), *logins(3))
    desk.compact()
    alpha, login = id_of(desk, "user alpha opened the door"), id_of(desk, LOGIN)
    change = desk.database.write(lambda tx: service.merge(tx, login, alpha), actor=ANA)
    for word in words[1:]:
        desk.post(info(f"user {word} opened the door"))
        desk.compact()
    desk.post(*logins(2))
    desk.compact()
    assert listed(desk) == {"user <*> opened the door": 17}
    desk.database.write(lambda tx: service.undo(tx, change.id), actor=ANA)
    assert listed(desk) == {"user <*> opened the door": 12, LOGIN: 5}


def test_a_split_takes_what_matches_from_now_on_and_is_undone(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings)
    desk.post(*orders(10))
    desk.compact()
    special = "order <*> paid by card 77"
    change = desk.database.write(lambda tx: service.split(tx, id_of(desk, ORDER), special), actor=ANA)
    assert listed(desk) == {ORDER: 10, special: 0}
    desk = open_desk(settings)
    desk.clock.advance(minutes=3)
    desk.post(*orders(10, 5))  # one of them with card 77
    desk.compact()
    assert listed(desk) == {ORDER: 19, special: 1}
    detail = service.get(desk.database, change.pattern_id)
    assert detail.shown.summary.pattern.example == "order 11 paid by card 77"
    assert detail.regex is not None

    desk.database.write(lambda tx: service.undo(tx, change.id), actor=ANA)
    assert listed(desk) == {ORDER: 20}
    desk.post(*orders(1, 11))
    desk.compact()
    assert listed(desk) == {ORDER: 21}
    assert in_all(desk) == (21, 21)


def test_what_the_miner_has_merged_can_be_split_off_and_stays_so(desk: Desk) -> None:
    words = ["alpha", "bravo", "carol", "delta", "echo", "fox", "golf", "hotel", "india", "jade", "kilo", "lima"]
    for start in range(0, 12, 2):
        desk.post(*[info(f"user {word} opened the door") for word in words[start : start + 2]])
        desk.compact()
    wide = id_of(desk, "user <*> opened the door")
    desk.database.write(lambda tx: service.split(tx, wide, "user alpha opened the door"), actor=ANA)
    assert listed(desk) == {"user <*> opened the door": 11, "user alpha opened the door": 1}
    desk.post(*[info(f"user {word} opened the door") for word in words])
    desk.compact()
    assert listed(desk) == {"user <*> opened the door": 22, "user alpha opened the door": 2}


def test_a_split_that_makes_no_sense_is_refused(desk: Desk) -> None:
    desk.post(*orders(3), *logins(2))
    desk.compact()
    order = id_of(desk, ORDER)
    with pytest.raises(Invalid, match="no message of pattern"):
        desk.database.write(lambda tx: service.split(tx, order, "another thing"), actor=ANA)
    with pytest.raises(Conflict, match="already"):
        desk.database.write(lambda tx: service.split(tx, order, ORDER), actor=ANA)
    with pytest.raises(NotFound):
        desk.database.write(lambda tx: service.split(tx, 999, ORDER), actor=ANA)


def test_pages_follow_each_other_in_every_order(desk: Desk) -> None:
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"]
    for n, name in enumerate(names):
        at = (START - timedelta(hours=3 * n)).isoformat()
        desk.post(*[info(f"{name} has {k} {name}s in the {name} house", timestamp=at) for k in range(n % 4 + 1)])
        desk.compact()
    for sort in service.SORTS:
        whole = [one.summary.pattern.id for one in service.find(desk.database, PatternQuery(sort=sort))[0]]
        assert len(whole) == 8
        paged: list[int] = []
        query = PatternQuery(sort=sort, limit=3)
        while True:
            items, cursor = service.find(desk.database, query)
            paged += [one.summary.pattern.id for one in items]
            if cursor is None:
                break
            query = PatternQuery(sort=sort, limit=3, cursor=cursor)
        assert paged == whole
    recent = service.find(desk.database, PatternQuery(since=START - timedelta(hours=4), sort="newest"))[0]
    assert [one.summary.count for one in recent] == [1, 2]
    assert [sum(one.bars) for one in recent] == [1, 2]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["alias", "merge", "split"])), max_size=12
    ),
    st.sets(st.integers(1, 12)),
)
def test_undoing_everything_leaves_what_the_miner_did(made: list[tuple[int, int, str]], undone: set[int]) -> None:
    def change(number: int, one: int, other: int, kind: str, *, gone: bool) -> Change:
        return Change(number, kind, one, other, "", START, START if gone else None, None)

    by_hand = [change(n, *m, gone=n in undone) for n, m in enumerate(made, 1) if m[2] != "split"]
    shown = roots(range(6), by_hand)
    assert all(shown[root] == root for root in shown.values())
    for one in by_hand:
        if one.undone_at is None:
            assert shown[one.pattern_id] == shown[one.into_id]
    assert roots(range(6), [change(n, a, b, "merge", gone=True) for n, (a, b, _) in enumerate(made)]) == {
        n: n for n in range(6)
    }
