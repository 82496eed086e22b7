"""What a ticket that is split off takes over: no time is counted that the other one did not count."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.errors import Invalid
from tocsin.tickets import sla
from tocsin.tickets.sla import ACKNOWLEDGE, RESOLVE, Facts, Terms
from tocsin.tickets.splitting import check_alerts, check_keys, opened_at, taken_over

START = datetime(2026, 11, 24, tzinfo=UTC)
TERMS = Terms(acknowledge=timedelta(hours=1), resolve=timedelta(hours=8))


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def held(instants: list[int], *, goes_on: bool) -> Facts:
    """A ticket that was on hold between each two of these minutes, and after the last one if that goes on."""
    times = [at(minute) for minute in sorted(instants)]
    pairs = tuple(zip(times[::2], times[1::2], strict=False))
    since = times[-1] if goes_on and len(times) % 2 else None
    return Facts(START, START, acknowledged_at=at(7), holds=pairs, held_since=since)


@given(st.lists(st.integers(0, 200), max_size=6, unique=True), st.booleans(), st.integers(0, 200))
def test_the_new_ticket_counts_what_the_other_counted_since_it_opened(
    instants: list[int], goes_on: bool, opened: int
) -> None:
    facts, now = held(instants, goes_on=goes_on), at(201)
    new = taken_over(facts, at(opened), now)
    counted = [sla.clocks(one, TERMS, when)[RESOLVE].elapsed for one, when in ((facts, now), (facts, at(opened)))]
    found = sla.clocks(new, TERMS, now)
    assert found[RESOLVE].elapsed == counted[0] - counted[1]
    assert not new.is_held(now)
    assert found[ACKNOWLEDGE].state in {sla.State.MET, sla.State.MET_LATE}
    assert new.acknowledged_at == max(at(opened), at(7))


def test_it_opens_with_its_first_alert_but_not_before_there_was_a_ticket() -> None:
    assert opened_at([at(5), at(3)], [at(0), at(9)]) == at(3)
    assert opened_at([at(5), at(3)], [at(4)]) == at(4)


@pytest.mark.parametrize(
    ("wanted", "key_of", "any_left", "said"),
    [
        ([1, 2], {1: "a", 2: "b"}, True, None),
        ([1], {1: "a", 2: "a", 3: "a"}, True, "with alert 1, name 2, 3 too"),
        ([1], {1: "a", **dict.fromkeys(range(2, 20), "a")}, True, "11, ... too"),
        ([1, 2], {1: "a", 2: "a"}, False, "at least one has to stay"),
    ],
)
def test_keys_stay_whole_and_a_ticket_keeps_an_alert(
    wanted: list[int], key_of: dict[int, str], any_left: bool, said: str | None
) -> None:
    if said is None:
        check_keys(wanted, key_of, any_left=any_left)
        return
    with pytest.raises(Invalid, match=said):
        check_keys(wanted, key_of, any_left=any_left)


def test_alerts_of_another_ticket_are_all_named() -> None:
    with pytest.raises(Invalid) as refused:
        check_alerts(7, [3, 4, 5], {4: "a"})
    assert [error.pointer for error in refused.value.errors] == ["/alerts/0", "/alerts/2"]
