"""On-call vectors of other programs: hand-offs, weekly rules, overrides, clocks that change, day masks, intervals."""

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from tocsin.kit.wallclock import first_at, last_at, local_of
from tocsin.oncall.restrictions import Restriction, holds, stretches
from tocsin.oncall.rotations import Frequency, Rotation, turns
from tocsin.oncall.schedules import FixedShift, Layer, Override, Schedule, Temporary, final_shifts, shifts_of_versions
from tocsin.oncall.seeing import PersonShift, of_people, seen

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "vectors_oncall"
DAY = timedelta(days=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def cases(name: str) -> list[Any]:
    """The cases of a file; one that skips where there is no such file."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason="the shared vectors are not here"))]
    return [pytest.param(case, id=str(number)) for number, case in enumerate(json.loads(path.read_text())["cases"])]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


@pytest.mark.parametrize("case", cases("goalert_clock_dst"))
def test_the_clock_on_the_wall_is_found(case: Any) -> None:
    local = datetime.fromisoformat(f"{case['date']}T{case['clock']}")
    find = first_at if case["op"] == "first" else last_at
    assert find(local, case["time_zone"]) == at(case["expected"])


@pytest.mark.parametrize("case", cases("goalert_rotation"))
def test_hand_offs_are_where_the_clock_says(case: Any) -> None:
    zone = case["time_zone"]
    starts = case.get("rotation_start_local") or case["shift_start_local"]
    rotation = Rotation(Frequency(case["type"]), datetime.fromisoformat(starts), case["shift_length"])
    if case["kind"] == "handoffs_in_window":
        since, until = (first_at(datetime.fromisoformat(case[f"window_{end}_local"]), zone) for end in ("from", "to"))
        found = list(turns(rotation, zone, since, until))
        assert [found[0].start, *(turn.end for turn in found)] == [at(text) for text in case["expected_handoffs"]]
        return
    instant = first_at(datetime.fromisoformat(case.get("at_local") or starts), zone)
    [turn] = turns(rotation, zone, instant, instant + timedelta(seconds=1))
    assert local_of(turn.end, zone) == datetime.fromisoformat(case["expected_end_local"])
    assert (turn.end - turn.start).total_seconds() == case.get(
        "expected_seconds", (turn.end - turn.start).total_seconds()
    )


def rule(case: Any) -> Restriction:
    begin, end = minutes(case["start"]), minutes(case["end"])
    days = frozenset(WEEKDAYS.index(name[:3]) for name in case["weekdays"])
    return Restriction(times=((begin, end if end > begin else end + 1440),), weekdays=days)


@pytest.mark.parametrize("case", cases("goalert_weekly_rule"))
def test_weekly_rules_hold_when_they_say(case: Any) -> None:
    instant, restriction = at(case["at"]), rule(case["rule"])
    if case["op"] == "is_active":
        assert holds([restriction], "UTC", instant) == case["expected"]
        return
    around = stretches([restriction], "UTC", instant - 30 * DAY, instant + 30 * DAY)
    start, end = next((start, end) for start, end in around if end > instant)
    assert {"start_time": start, "end_time": end}[case["op"]] == at(case["expected"])


@pytest.mark.parametrize("case", cases("alertmanager_time_intervals"))
def test_intervals_hold_when_they_say(case: Any) -> None:
    said = case["interval"]
    weekdays = {(day - 1) % 7 for low, high in said.get("weekdays", ()) for day in range(low, high + 1)}
    restriction = Restriction(
        times=tuple((minutes(low), minutes(high)) for low, high in said.get("times", ())),
        weekdays=frozenset(weekdays),
        days_of_month=tuple((low, high) for low, high in said.get("daysofmonth", ())),
        months=tuple((low, high) for low, high in said.get("months", ())),
        years=tuple((low, high) for low, high in said.get("years", ())),
        time_zone=said.get("location"),
    )
    assert [text for text in case["inside"] if not holds([restriction], "UTC", at(text))] == []
    assert [text for text in case["outside"] if holds([restriction], "UTC", at(text))] == []


# What its source calls "expected behaviour, not the correct result": turns of seven days without a mask hold for seven
# days here, as they do with a mask of all days (there and here).
_SAID_TO_BE_WRONG = 21


@pytest.mark.parametrize("case", cases("grafana_oncall_day_mask_rotation"))
def test_day_masks_select_days_and_turns(case: Any) -> None:
    names = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    groups = tuple(tuple(next(names) for _ in range(n)) for n in case["users_per_group"])
    codes = [day[:2].upper() for day in WEEKDAYS]
    start = datetime.combine(date.fromisoformat(case["rotation_start"]), time())
    mask = frozenset(codes.index(code) for code in case["weekdays"])
    rotation = Rotation(Frequency(case["frequency"]), start, case["interval"], weekdays=mask)
    schedule = Schedule("UTC", (Layer("rotation", groups, rotation),))
    since = start.replace(tzinfo=UTC)
    shifts = final_shifts(schedule, since, since + case["horizon_days"] * DAY)
    found = {}
    for shift in shifts:
        day = shift.start
        while day < shift.end:
            found[day.date().isoformat()] = "".join(shift.users)
            day += DAY
    expected = case["expected_user_by_date"]
    if case["id"] == _SAID_TO_BE_WRONG:
        expected = {(since + n * DAY).date().isoformat(): "ABC"[n // 7] for n in range(18)}
    # A case need not name the days of its last, unfinished week.
    assert {day: user for day, user in found.items() if day <= max(expected)} == expected


def layer(number: int, said: Any, zone: str) -> Layer:
    if "rotation" not in said:
        return Layer(f"rule-{number}", ((said["user"],),), None, (rule(said),))
    turning = said["rotation"]
    start = local_of(at(turning["start"]), zone)
    users = turning["users"]
    [(instant, there)] = turning["user_at"].items()
    rotation = Rotation(Frequency(turning["type"]), start, turning["shift_length"])
    [turn] = turns(rotation, zone, at(instant), at(instant) + timedelta(seconds=1))
    first = (users.index(there) - turn.number) % len(users)
    groups = tuple((user,) for user in users[first:] + users[:first])
    return Layer(f"rule-{number}", groups, rotation, (rule(said),))


def schedule_of(case: Any) -> Schedule:
    zone = case["time_zone"]
    overrides = [
        Override(number, at(one["start"]), at(one["end"]), one.get("add"), one.get("remove"))
        for number, one in enumerate(case.get("overrides", ()), 1)
    ]
    temporary = [
        Temporary(
            number,
            at(one["start"]),
            at(one["end"]),
            tuple(FixedShift(at(shift["start"]), at(shift["end"]), (shift["user"],)) for shift in one["shifts"]),
        )
        for number, one in enumerate(case.get("temporary_schedules", ()), 1)
    ]
    layers = tuple(layer(number, said, zone) for number, said in enumerate(case["rules"]))
    return Schedule(zone, layers, tuple(overrides), tuple(temporary))


@pytest.mark.parametrize("case", cases("shift_calculation_overrides"))
def test_the_final_schedule_is_what_rules_overrides_and_temporary_schedules_say(case: Any) -> None:
    if "weekly_shift" in case:
        first = datetime.fromisoformat(case["weekly_shift"]["first_start_local"])
        schedule = Schedule(case["time_zone"], (Layer("week", (("u1",),), Rotation(Frequency.WEEKLY, first)),))
        since = at(case["query_day"])
        found = seen(lambda a, b: final_shifts(schedule, a, b), since, since + DAY)
        [expected] = case["expected_shifts"]
        assert next(iter(found.extents.values())) == (at(expected["start"]), at(expected["end"]))
        return
    since, until = (at(text) for text in case["window"])
    versions: list[tuple[datetime, Schedule | None]] = [(since - 30 * DAY, schedule_of(case))]
    if "history" in case:
        now = at(case["now"])
        past = tuple(FixedShift(at(one["start"]), now, (one["user"],)) for one in case["history"])
        then = Schedule("UTC", (), (), (Temporary(0, now - 30 * DAY, now, past),))
        versions = [(now - 30 * DAY, then), (now, schedule_of(case))]
        since = min(since, *(shift.start for shift in past))
    # A person's hand-off to himself goes unnoticed there.
    people = of_people(shifts_of_versions(versions, since, until), at_handoffs=False)
    expected = [PersonShift(one["user"], at(one["start"]), at(one["end"])) for one in case["expected_shifts"]]
    assert [one for one in people if one.end > at(case["window"][0])] == expected
