"""What a final schedule is like: gaps, who is booked twice, overrides without effect, nights and weekends."""

from datetime import UTC, datetime, timedelta

from tocsin.oncall.coverage import Kind, Person, booked_twice, gaps, loads, problems_of_people, without_effect
from tocsin.oncall.people import Away
from tocsin.oncall.restrictions import Restriction
from tocsin.oncall.schedules import Layer, Override, Schedule, Shift, final_shifts

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFFICE = Restriction(times=((9 * 60, 17 * 60),), weekdays=frozenset(range(5)))


def shift(user: str, start: float, end: float) -> Shift:
    """A shift between two hours, counted from Monday."""
    return Shift(MONDAY + start * HOUR, MONDAY + end * HOUR, (user,), "main", None)


def test_a_gap_is_when_somebody_should_be_on_call_and_nobody_is() -> None:
    shifts = [shift("ana", 0, 10), shift("rui", 10, 12), shift("ana", 20, 30)]
    day = [(MONDAY + 12 * HOUR, MONDAY + 20 * HOUR), (MONDAY + 30 * HOUR, MONDAY + 48 * HOUR)]
    assert gaps(shifts, (), "UTC", MONDAY, MONDAY + 2 * DAY) == day
    office = [(MONDAY + 12 * HOUR, MONDAY + 17 * HOUR), (MONDAY + 33 * HOUR, MONDAY + 41 * HOUR)]
    assert gaps(shifts, (OFFICE,), "UTC", MONDAY, MONDAY + 2 * DAY) == office


def test_who_is_away_gone_or_elsewhere_is_a_problem_for_just_that_time() -> None:
    people = {
        "ana": Person("UTC", (Away(MONDAY - DAY, MONDAY + HOUR, "ill"),)),
        "rui": Person("UTC", there=False),
        "eva": Person("UTC"),
    }
    shifts = [shift("ana", 0, 5), shift("rui", 5, 6), shift("zoe", 6, 7), shift("eva", 7, 9)]
    found = problems_of_people(shifts, people, {"other": [shift("eva", 8, 20)]})
    seen = [
        (one.kind, one.user, (one.start - MONDAY) / HOUR, (one.end - MONDAY) / HOUR, one.other or one.note)
        for one in found
    ]
    assert sorted(seen, key=lambda one: one[2]) == [
        (Kind.AWAY, "ana", 0, 1, "ill"),
        (Kind.REMOVED, "rui", 5, 6, ""),
        (Kind.UNKNOWN, "zoe", 6, 7, ""),
        (Kind.DOUBLE_BOOKED, "eva", 8, 9, "other"),
    ]


def test_a_turn_in_two_layers_at_once_is_booked_twice() -> None:
    by_layer = {
        "first": [shift("ana", 0, 10), shift("rui", 10, 20)],
        "second": [shift("rui", 0, 12), shift("ana", 12, 20)],
    }
    [found] = booked_twice(by_layer)
    assert (found.user, found.other, found.start, found.end) == (
        "rui",
        "second and first",
        MONDAY + 10 * HOUR,
        MONDAY + 12 * HOUR,
    )


def test_an_override_from_which_nothing_follows_is_told() -> None:
    overrides = (
        Override(1, MONDAY, MONDAY + HOUR, "eva", "rui"),
        Override(2, MONDAY, MONDAY + HOUR, "ana", None),
        Override(3, MONDAY, MONDAY + HOUR, "eva", "ana"),
        Override(4, MONDAY + 2 * HOUR, MONDAY + 3 * HOUR, None, "ana"),
    )
    schedule = Schedule("UTC", (Layer("main", (("ana",),)),), overrides)
    found = without_effect(final_shifts(schedule, MONDAY, MONDAY + DAY), overrides, MONDAY)
    assert [(one.override_id, one.user) for one in found] == [(1, "rui"), (2, "ana")]


def test_nights_and_weekends_are_those_where_a_person_lives() -> None:
    week = [shift("ana", 0, 7 * 24), shift("rui", 7 * 24, 7 * 24 + 3)]
    ana, rui = loads(week, {"ana": Person("UTC"), "rui": Person("Asia/Tokyo")}, "Europe/Lisbon")
    assert (ana.nights, ana.night, ana.weekends, ana.weekend) == (8, 56 * HOUR, 1, 48 * HOUR)
    assert (rui.nights, rui.weekends, rui.on_call) == (0, 0, 3 * HOUR)
    [eva] = loads([shift("eva", 22, 23)], {}, "Europe/Lisbon")
    assert (eva.nights, eva.night, eva.shifts) == (1, HOUR, 1)
