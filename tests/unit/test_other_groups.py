"""What is too many is gathered, and nothing of it is lost; memory is bounded however many services there are."""

from hypothesis import given
from hypothesis import strategies as st

from desk import START, decode_records, error
from tocsin.alerts import ruleset as module
from tocsin.alerts.detect import detect
from tocsin.alerts.overflow import OVERFLOW, gathered, overflow_of, parted
from tocsin.alerts.rules import SEED_RULE, Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.kit.events import Matched
from tocsin.logs.record import Columns

RULES = [Rule(name=name, version=1, condition="*", group_by=("@host",)) for name in ("a", "b")]


def matches_of(hosts: list[str]) -> list[Matched]:
    columns = decode_records([error(attributes={"host": host}) for host in hosts], arrived=START).columns
    return list(detect(columns, RuleSet(1, RULES), first_id=1, backfill=False).matches)


@given(st.lists(st.sampled_from("uvwxyz"), min_size=1), st.integers(-1, 7), st.integers(0, 7))
def test_the_first_groups_have_the_room_and_all_others_are_gathered(hosts: list[str], room: int, other: int) -> None:
    found = matches_of(hosts)
    inside, outside = parted(found, {"a": room, "b": other})
    assert sorted(map(id, inside + outside)) == sorted(map(id, found))
    kinds = len(set(hosts))
    for rule, seats in (("a", max(room, 0)), ("b", other)):
        mine = [match for match in inside if match.rule == rule]
        assert len({match.fingerprint for match in mine}) == min(kinds, seats)
        assert {match.fingerprint for match in mine}.isdisjoint({m.fingerprint for m in outside if m.rule == rule})
    together = gathered(outside)
    assert sum(match.n for match in together) == sum(match.n for match in outside)
    assert {(match.fingerprint, match.template) for match in together} == {
        (overflow_of(match.rule), OVERFLOW) for match in outside
    }


def test_what_is_remembered_of_services_is_bounded() -> None:
    rules = RuleSet(1, [SEED_RULE, Rule(name="shop", version=1, condition="service:shop level:CRITICAL")])
    for start in range(0, 100_000, 10_000):
        count = 10_000
        columns = Columns(
            [START] * count,
            bytes([21]) * count,
            bytes([21]) * count,
            [f"service-{start + n}" for n in range(count)],
            ["lost"] * count,
            [b"{}"] * count,
        )
        assert sum(match.n for match in detect(columns, rules, first_id=1, backfill=False).matches) == count
    assert rules.services_remembered <= module.MAX_SERVICES
