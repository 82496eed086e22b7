"""Detection is a pure function: one match per rule and fingerprint, every matching record in exactly one."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.detect import MAX_SAMPLES, detect, merge
from tocsin.alerts.grouping import template_of
from tocsin.alerts.rules import SEED_RULE, Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.kit.priorities import Priority
from tocsin.logs.chunks import slices
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns

ROWS = st.lists(
    st.tuples(
        st.sampled_from(Level),
        st.sampled_from(["shop", "pay"]),
        st.sampled_from(["lost 1", "lost 2", "gone", ""]),
        st.datetimes(datetime(1970, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    ),
    max_size=30,
)
ERRORS = Rule(name="errors", version=3, condition="level:>=ERROR", priority=Priority.P4)
LEAST = {SEED_RULE.name: Level.CRITICAL, ERRORS.name: Level.ERROR}
BOTH = RuleSet(1, (SEED_RULE, ERRORS))
SEED = RuleSet(1, (SEED_RULE,))


def columns_of(rows: list[tuple[Level, str, str, datetime]]) -> Columns:
    levels = bytes(level for level, *_ in rows)
    return Columns(
        [at for *_, at in rows],
        levels,
        levels,
        [service for _, service, *_ in rows],
        [message for _, _, message, _ in rows],
        [b"{}"] * len(rows),
    )


@given(ROWS, st.booleans())
def test_every_record_of_the_level_is_in_exactly_one_match_per_rule(
    rows: list[tuple[Level, str, str, datetime]], backfill: bool
) -> None:
    found = detect(columns_of(rows), BOTH, first_id=1000, backfill=backfill).matches

    for rule in (SEED_RULE, ERRORS):
        mine = [match for match in found if match.rule == rule.name]
        expected = Counter(
            (service, template_of(message)) for level, service, message, _ in rows if level >= LEAST[rule.name]
        )
        assert {(match.service, match.template): match.n for match in mine} == expected
        assert len({match.fingerprint for match in mine}) == len(mine)
        for match in mine:
            ids = [
                1000 + row
                for row, (level, service, message, _) in enumerate(rows)
                if level >= LEAST[rule.name] and (service, template_of(message)) == (match.service, match.template)
            ]
            assert (match.first_id, match.last_id) == (ids[0], ids[-1])
            assert list(match.sample_ids) == ids[:MAX_SAMPLES]
            assert match.first_at <= match.last_at
            assert match.backfill is backfill
            assert match.rule_version == rule.version


@given(ROWS, st.integers(1, 10))
def test_matching_in_pieces_and_merging_gives_what_matching_the_whole_gives(
    rows: list[tuple[Level, str, str, datetime]], size: int
) -> None:
    columns = columns_of(rows)
    pieces = [
        match
        for start in range(0, len(rows), size)
        for match in detect(columns.slice(start, start + size), SEED, first_id=1 + start, backfill=False).matches
    ]
    whole = detect(columns, SEED, first_id=1, backfill=False).matches

    assert merge(pieces) == merge(whole) == sorted(whole, key=lambda match: match.first_id)
    assert merge(merge(pieces)) == merge(pieces)
    assert list(slices(Columns())) == []
