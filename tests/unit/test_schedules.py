"""Who is on call: at every instant one answer, no hour lost or doubled whatever clocks do; what is wrong is named."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.kit.errors import Invalid
from tocsin.oncall.declaring import kept_schedule, override_of, overrides_of, schedule_of, temporary_of
from tocsin.oncall.restrictions import Restriction, merged, without
from tocsin.oncall.rotations import Frequency, HandOff, Rotation, turns
from tocsin.oncall.schedules import (
    FixedShift,
    Layer,
    Override,
    Schedule,
    Shift,
    TooManyShifts,
    final_shifts,
    next_change,
    on_call_at,
)
from tocsin.oncall.seeing import PersonShift, of_people, seen
from tocsin.oncall.trying import tried
from tocsin.oncall.writing import definition_of

STEP = timedelta(minutes=5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Each with a day on which its clocks are changed; that of Lord Howe by half an hour, that of Santiago at midnight.
CHANGES = [
    ("Europe/Lisbon", datetime(2026, 3, 29)),
    ("Europe/Lisbon", datetime(2026, 10, 25)),
    ("America/Chicago", datetime(2026, 11, 1)),
    ("Australia/Lord_Howe", datetime(2026, 4, 5)),
    ("Australia/Lord_Howe", datetime(2026, 10, 4)),
    ("America/Santiago", datetime(2026, 9, 6)),
    ("America/Santiago", datetime(2026, 4, 5)),
    ("UTC", datetime(2026, 6, 1)),
]
PEOPLE = ("ana", "rui", "eva", "max")
UNITS = {Frequency.HOURLY: HOUR, Frequency.DAILY: DAY, Frequency.WEEKLY: 7 * DAY}
clocks = st.integers(0, 287).map(lambda n: 5 * n)


@st.composite
def layers(draw: Any, day: datetime) -> Layer:
    groups = draw(
        st.lists(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=2, unique=True), min_size=1, max_size=3)
    )
    start = day + draw(st.integers(-20, 20)) * DAY + draw(clocks) * timedelta(minutes=1)
    frequency = draw(st.sampled_from([*UNITS]))
    rotation = Rotation(frequency, start, draw(st.integers(1, 5)))
    spans = draw(st.lists(st.tuples(clocks, clocks), max_size=2))
    times = tuple((low, high if high > low else high + 1440) for low, high in spans)
    weekdays = draw(st.frozensets(st.integers(0, 6), max_size=5))
    restrictions = (Restriction(times=times, weekdays=weekdays),) if times or weekdays else ()
    name = f"layer-{draw(st.integers(0, 10_000))}"
    return Layer(name, tuple(map(tuple, groups)), rotation, restrictions, priority=draw(st.integers(0, 1)))


@st.composite
def cases(draw: Any) -> tuple[Schedule, datetime]:
    zone, day = draw(st.sampled_from(CHANGES))
    midnight = day.replace(tzinfo=UTC)
    overrides = []
    for number in range(draw(st.integers(0, 2))):
        start = midnight + draw(st.integers(-200, 400)) * STEP
        add, remove = draw(st.sampled_from([(None, "ana"), ("eva", None), ("max", "rui")]))
        overrides.append(Override(number + 1, start, start + draw(st.integers(1, 300)) * STEP, add, remove))
    found = tuple(draw(st.lists(layers(day), min_size=1, max_size=3)))
    return Schedule(zone, found, tuple(overrides)), midnight


def walk(schedule: Schedule, since: datetime, until: datetime) -> dict[datetime, set[str]]:
    """Who is on call every five minutes, found by looking at a clock on the wall that is never turned back."""
    zone = ZoneInfo(schedule.time_zone)
    shown, at, found = datetime.min, since - 4 * DAY, {}
    while at < until:
        shown = max(shown, at.astimezone(zone).replace(tzinfo=None))
        if at >= since:
            found[at] = looked_up(schedule, shown, at)
        at += STEP
    return found


def looked_up(schedule: Schedule, shown: datetime, at: datetime) -> set[str]:
    there: dict[int, set[str]] = {}
    for layer in schedule.layers:
        assert layer.rotation is not None
        turn = (shown - layer.rotation.start) // (UNITS[layer.rotation.frequency] * layer.rotation.interval)
        if not layer.restrictions or holds(layer.restrictions[0], shown):
            there.setdefault(layer.priority, set()).update(layer.groups[turn % len(layer.groups)])
    users = there[max(there)] if there else set()
    for one in schedule.overrides:
        if one.start <= at < one.end and (one.remove is None or one.remove in users):
            users = (users - {one.remove}) | ({one.add} if one.add else set())
    return users


def holds(restriction: Restriction, shown: datetime) -> bool:
    today = datetime.combine(shown.date(), time())
    for midnight in (today - DAY, today):
        if restriction.weekdays and midnight.weekday() not in restriction.weekdays:
            continue
        for low, high in restriction.times or ((0, 1440),):
            if midnight + low * STEP / 5 <= shown < midnight + high * STEP / 5:
                return True
    return False


@given(case=cases())
@settings(max_examples=40)
def test_at_every_instant_there_is_the_one_answer_that_a_clock_on_the_wall_gives(case: Any) -> None:
    schedule, midnight = case
    since, until = midnight - DAY, midnight + 2 * DAY
    shifts = final_shifts(schedule, since, until)
    assert all(one.end <= other.start for one, other in pairwise(shifts))
    assert all(since <= one.start < one.end <= until and one.users for one in shifts)
    place, found = 0, {}
    expected = walk(schedule, since, until)
    for at in expected:
        while place < len(shifts) and shifts[place].end <= at:
            place += 1
        there = place < len(shifts) and shifts[place].start <= at
        found[at] = set(shifts[place].users) if there else set()
    assert {at: users for at, users in found.items() if users != expected[at]} == {}
    middle = midnight + 7 * STEP
    halves = final_shifts(schedule, since, middle) + final_shifts(schedule, middle, until)
    assert of_people(halves, at_handoffs=True) == of_people(shifts, at_handoffs=True)


@given(case=cases())
@settings(max_examples=15)
def test_hand_offs_never_lose_or_double_an_hour(case: Any) -> None:
    schedule, midnight = case
    alone = Schedule(schedule.time_zone, (Layer("all", schedule.layers[0].groups, schedule.layers[0].rotation),))
    shifts = final_shifts(alone, midnight - DAY, midnight + 2 * DAY)
    assert sum((one.end - one.start for one in shifts), timedelta(0)) == 3 * DAY
    assert merged((one.start, one.end) for one in shifts) == [(midnight - DAY, midnight + 2 * DAY)]


@st.composite
def rotations(draw: Any, day: datetime) -> Rotation:
    """Of every kind, with and without a day mask."""
    start = day + draw(st.integers(-60, 60)) * DAY + draw(clocks) * timedelta(minutes=1)
    frequency = draw(st.sampled_from([*Frequency]))
    masked = frequency in {Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY}
    points = draw(
        st.lists(st.builds(HandOff, st.integers(0, 6), st.just(time(9))), min_size=1, max_size=3, unique=True)
    )
    by_length = frequency is Frequency.CUSTOM and draw(st.booleans())
    return Rotation(
        frequency,
        start,
        draw(st.integers(1, 4)),
        elapsed=draw(st.booleans()),
        weekdays=draw(st.frozensets(st.integers(0, 6))) if masked else frozenset(),
        week_start=draw(st.integers(0, 6)),
        whole=draw(st.booleans()),
        length_s=draw(st.integers(10, 1000)) * 900 if by_length else None,
        handoffs=tuple(points) if frequency is Frequency.CUSTOM and not by_length else (),
    )


@given(data=st.data(), change=st.sampled_from(CHANGES), before=st.integers(0, 40), after=st.integers(1, 40))
@settings(max_examples=40)
def test_turns_are_the_same_in_whatever_window_one_looks(data: Any, change: Any, before: int, after: int) -> None:
    zone, day = change
    rotation = data.draw(rotations(day))
    midnight = day.replace(tzinfo=UTC)
    since, until = midnight - before * 7 * HOUR, midnight + after * 7 * HOUR
    near = list(turns(rotation, zone, since, until))
    far = list(turns(rotation, zone, since - 90 * DAY, until + 90 * DAY))
    assert near == [turn for turn in far if turn.start < until and turn.end > since]
    assert all(one.end <= other.start and one.number <= other.number for one, other in pairwise(far))
    if not rotation.weekdays:
        assert all(one.end == other.start for one, other in pairwise(far))
        assert all(other.number - one.number <= 2 for one, other in pairwise(far))  # a turn in a gap is empty
    groups = len({turn.number for turn in far})
    assert groups > 1 or rotation.weekdays or rotation.frequency is Frequency.MONTHLY


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def people_of(definition: dict[str, Any], since: str, until: str) -> list[tuple[str, str, str]]:
    """Names with the hours and days of their shifts."""
    shifts = final_shifts(schedule_of(definition), at(since), at(until))
    return [("+".join(one.users), f"{one.start:%d %H:%M}", f"{one.end:%d %H:%M}") for one in shifts]


def one_layer(rotation: dict[str, Any] | None, users: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    layer = {"users": users or ["ana", "rui"], "rotation": rotation, **fields}
    return {"time_zone": "Europe/Lisbon", "layers": [layer]}


def test_hours_on_the_clock_and_hours_that_pass_differ_when_clocks_change() -> None:
    rotation = {"frequency": "hourly", "interval": 12, "start": "2026-10-24T09:00"}
    wall = people_of(one_layer(rotation), "2026-10-24T20:00", "2026-10-26T08:00")
    assert [start for _, start, _ in wall] == ["24 20:00", "25 09:00", "25 21:00"]
    elapsed = people_of(one_layer({**rotation, "hours": "elapsed"}), "2026-10-24T20:00", "2026-10-26T08:00")
    assert [start for _, start, _ in elapsed] == ["24 20:00", "25 08:00", "25 20:00"]


def test_custom_turns_are_a_length_or_moments_of_the_week() -> None:
    points = {"frequency": "custom", "start": "2026-11-23", "handoffs": ["fri 17:00", "MONDAY 09:00"]}
    found = people_of(one_layer(points), "2026-11-23T09:00", "2026-12-05T00:00")
    assert found == [
        ("ana", "23 09:00", "27 17:00"),
        ("rui", "27 17:00", "30 09:00"),
        ("ana", "30 09:00", "04 17:00"),
        ("rui", "04 17:00", "05 00:00"),
    ]
    length = {"frequency": "custom", "start": "2026-11-23T00:00", "length_s": 36 * 3600}
    assert people_of(one_layer(length), "2026-11-23T00:00", "2026-11-25T12:00")[1] == ("rui", "24 12:00", "25 12:00")


def test_months_that_are_too_short_hand_off_on_their_last_day() -> None:
    rotation = Rotation(Frequency.MONTHLY, datetime(2026, 1, 31, 9))
    schedule = Schedule("UTC", (Layer("main", (("ana",), ("rui",)), rotation),))
    starts = [one.start for one in final_shifts(schedule, at("2026-01-31T09:00"), at("2026-05-31T09:00"))]
    assert [f"{start:%m-%d}" for start in starts] == ["01-31", "02-28", "03-31", "04-30"]


def test_layers_of_the_highest_priority_count_and_several_of_the_same_together() -> None:
    definition = one_layer(None, ["ana"], name="day", restrictions=[{"times": [["09:00", "17:00"]]}], priority=1)
    definition["layers"] += [{"users": ["rui"], "name": "a"}, {"users": [["eva", "rui"]], "name": "b"}]
    found = people_of(definition, "2026-11-23T00:00", "2026-11-24T00:00")
    assert found == [
        ("rui+eva", "23 00:00", "23 09:00"),
        ("ana", "23 09:00", "23 17:00"),
        ("rui+eva", "23 17:00", "24 00:00"),
    ]


def test_overrides_apply_to_what_earlier_ones_left() -> None:
    since, until = at("2026-11-23T00:00"), at("2026-11-24T00:00")
    always = Layer("main", (("ana",),))

    def left(*pairs: tuple[str | None, str | None]) -> tuple[str, ...]:
        overrides = tuple(Override(n, since, until, add, remove) for n, (add, remove) in enumerate(pairs, 1))
        return final_shifts(Schedule("UTC", (always,), overrides), since, until)[0].users if overrides else ()

    assert left(("rui", "ana"), ("eva", "rui")) == ("eva",)
    assert left(("rui", "ana"), ("eva", "ana")) == ("eva",)  # the later one to take that place has it
    assert left((None, "ana"), ("eva", "ana")) == ("eva",)
    assert left(("ana", None), ("eva", None)) == ("ana", "eva")
    assert left(("eva", "max"), ("rui", None)) == ("ana", "rui")


def test_shifts_that_reach_over_the_window_tell_where_they_begin_and_end() -> None:
    schedule = schedule_of(one_layer({"frequency": "weekly", "start": "2026-11-23T09:00"}, ["ana"]))

    def compute(since: datetime, until: datetime) -> list[Shift]:
        return final_shifts(schedule, since, until)

    since, until = at("2026-11-25T00:00"), at("2026-11-26T00:00")
    week = (at("2026-11-23T09:00"), at("2026-11-30T09:00"))
    assert dict(seen(compute, since, until).extents) == {(since, None): week, (since, "ana"): week}
    assert seen(compute, since, until, join=True).extents[since, "ana"] == (None, None)
    assert next_change(compute, since) is None
    assert on_call_at(compute, since) == ("ana",)


def test_what_was_goes_on_if_the_schedule_has_the_same_person_then() -> None:
    definition = one_layer(None, ["ana"])
    begun, now, since, until = (at(f"2026-11-23T{hour:02}:00") for hour in (6, 7, 8, 9))
    history = [FixedShift(begun, now, ("ana",)), FixedShift(begun, now, ("rui",))]
    found = tried(schedule_of(definition), [], [], since, until, now=now, history=history)
    assert found.people == [PersonShift("ana", since, until)]
    assert found.extents[since, "ana"] == (begun, None)
    early = tried(schedule_of(definition), [], [], begun, until, now=now, history=history)
    assert early.people == [PersonShift("ana", begun, until), PersonShift("rui", begun, now)]


def test_too_many_shifts_are_refused_rather_than_worked_out_for_minutes() -> None:
    rotation = Rotation(Frequency.CUSTOM, datetime(2026, 1, 1), length_s=900)
    layers = tuple(Layer(f"layer-{n}", (("ana",), ("rui",)), rotation) for n in range(5))
    with pytest.raises(TooManyShifts):
        final_shifts(Schedule("UTC", layers), at("2026-01-01T00:00"), at("2027-01-01T00:00"))


def test_stretches_are_cut_out_of_others() -> None:
    days = [at(f"2026-11-{day}T00:00") for day in range(20, 30)]
    whole = [(days[0], days[4]), (days[5], days[9])]
    taken = [(days[1], days[2]), (days[3], days[6])]
    assert without(whole, taken) == [(days[0], days[1]), (days[2], days[3]), (days[6], days[9])]


def wrong_in(definition: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        schedule_of(definition)
    return {one.pointer: one.detail for one in error.value.errors}


WEEK = {"frequency": "weekly", "start": "2026-11-23T09:00"}
_ROTATION = "/layers/0/rotation"


@pytest.mark.parametrize(
    ("definition", "pointer", "detail"),
    [
        ({"time_zone": "Mars/Base", "layers": []}, "/time_zone", "no time zone"),
        (one_layer({**WEEK, "interval": 0}), f"{_ROTATION}/interval", "no such length"),
        (one_layer({**WEEK, "frequency": "yearly"}), f"{_ROTATION}/frequency", "hourly, daily"),
        (one_layer({**WEEK, "start": "soon"}), f"{_ROTATION}/start", "no wall time"),
        (one_layer({**WEEK, "start": "2026-02-30"}), f"{_ROTATION}/start", "no wall time"),
        (one_layer({**WEEK, "weekdays": ["xx"]}), f"{_ROTATION}/weekdays/0", "no weekday"),
        (one_layer({**WEEK, "hours": "new"}), f"{_ROTATION}/hours", "wall, elapsed"),
        (one_layer({**WEEK, "length_s": 3600}), f"{_ROTATION}/length_s", "custom alone"),
        (one_layer({**WEEK, "frequency": "hourly", "weekdays": ["mon"]}), f"{_ROTATION}/weekdays", "no day mask"),
        (one_layer({**WEEK, "frequency": "custom"}), f"{_ROTATION}/length_s", "either"),
        (one_layer({**WEEK, "frequency": "custom", "length_s": 0}), f"{_ROTATION}/length_s", "900 to"),
        (one_layer({**WEEK, "frequency": "custom", "handoffs": ["mon"]}), f"{_ROTATION}/handoffs/0", "mon 09:00"),
        ({"time_zone": "UTC", "layers": [{"users": []}]}, "/layers/0/users", "no one in it"),
        (one_layer(None, ["ana", []]), "/layers/0/users/1", "no one in it"),
        (one_layer(None, [["ana", "ana"]]), "/layers/0/users/0/1", "in it already"),
        (one_layer(None, time_zone="Nowhere"), "/layers/0/time_zone", "no time zone"),
        (one_layer(None, starts_at=at("2026-11-23"), ends_at=at("2026-11-23")), "/layers/0/ends_at", "after the start"),
        (
            one_layer(None, restrictions=[{"times": [["9", "17:00"]]}]),
            "/layers/0/restrictions/0/times/0/0",
            "time of day",
        ),
        (one_layer(None, restrictions=[{"times": [["09:00"]]}]), "/layers/0/restrictions/0/times/0", "from and until"),
        (one_layer(None, restrictions=[{"months": [13]}]), "/layers/0/restrictions/0/months/0", "1 to 12"),
        (one_layer(None, restrictions=[{"days_of_month": ["0:3"]}]), "/layers/0/restrictions/0/days_of_month/0", "-31"),
        (
            one_layer(None, restrictions=[{"years": ["2030:2020"]}]),
            "/layers/0/restrictions/0/years/0",
            "before it begins",
        ),
        (one_layer(None, restrictions=[{}] * 51), "/layers/0/restrictions", "at most 50"),
        ({"time_zone": "UTC", "layers": [{"users": ["a"]}] * 31}, "/layers", "at most 30"),
        ({"time_zone": "UTC", "layers": [{"users": ["a"], "name": "x"}] * 2}, "/layers/1/name", "another name"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_named_by_its_place(
    definition: dict[str, Any], pointer: str, detail: str
) -> None:
    found = wrong_in(definition)
    assert list(found) == [pointer]
    assert detail in found[pointer]


def test_overrides_that_can_not_be_are_named_by_their_place() -> None:
    noon, one = at("2026-11-23T12:00"), at("2026-11-23T13:00")
    bad = [
        {"start": noon, "end": noon, "add": "ana"},
        {"start": noon, "end": one},
        {"start": noon, "end": one, "add": "a", "remove": "a"},
    ]
    shifts = [{"start": noon - HOUR, "end": one, "users": ["ana"]}, {"start": noon, "end": one, "users": []}]
    with pytest.raises(Invalid) as error:
        overrides_of(bad, [{"start": noon, "end": one, "shifts": shifts}])
    places = [found.pointer for found in error.value.errors]
    assert places == ["/overrides/0/end", "/overrides/1/add", "/overrides/2/add"] + [
        f"/temporary/0/shifts/{place}" for place in ("0/start", "1/users")
    ]
    for read, said in ((override_of, bad[0]), (temporary_of, {"start": one, "end": noon, "shifts": []})):
        with pytest.raises(Invalid):
            read(said)


def test_a_schedule_reads_back_as_it_is_written() -> None:
    restriction = {
        "times": [["20:00", "08:00"]],
        "weekdays": ["fri-mon"],
        "days_of_month": [1, "-7:-1"],
        "months": ["jun:aug", 12],
    }
    rotation = {"frequency": "custom", "start": "2026-11-23", "handoffs": ["tue 08:30"]}
    said = one_layer(rotation, ["ana", ["rui", "eva"]], restrictions=[restriction], starts_at=at("2026-11-01"))
    schedule = schedule_of({**said, "coverage": [{"weekdays": ["MO", "Tuesday"]}], "description": "who is first"})
    written = definition_of(schedule)
    assert kept_schedule(written) == schedule
    assert definition_of(schedule_of(written)) == written
    assert schedule.layers[0].rotation is not None
    assert schedule.layers[0].rotation.handoffs == (HandOff(1, time(8, 30)),)
    assert written["layers"][0]["restrictions"][0] == {
        "times": [["20:00", "08:00"]],
        "weekdays": ["mon", "fri", "sat", "sun"],
        "days_of_month": [1, "-7:-1"],
        "months": ["6:8", 12],
        "years": [],
        "time_zone": None,
    }
    lost = kept_schedule({**written, "time_zone": "Gone/Zone"})
    assert lost.time_zone == "UTC"
