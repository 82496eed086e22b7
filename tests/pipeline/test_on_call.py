"""On call: people, overrides, swaps, changes that leave the past alone, gaps that are told of once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import select

from desk import ANA, START, Desk, in_threads
from tocsin.kit.errors import Conflict, Invalid, NotFound, PreconditionFailed
from tocsin.oncall import calendar_service as calendars
from tocsin.oncall import override_service as overriding
from tocsin.oncall import people_service as people
from tocsin.oncall import people_store
from tocsin.oncall import problem_service as looking
from tocsin.oncall import schedule_service as schedules
from tocsin.oncall.codes import Verdict
from tocsin.oncall.declaring import schedule_of
from tocsin.oncall.model import contact_codes, contact_methods
from tocsin.oncall.override_service import Part
from tocsin.oncall.people import Away, MethodKind
from tocsin.oncall.people_service import Profile
from tocsin.oncall.schedules import FixedShift, Override, Temporary
from tocsin.storage.tx import ReadTx, Tx

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = "2026-11-23T09:00"  # START is the Tuesday after


def do(desk: Desk, work: Callable[[Tx], Any]) -> Any:
    return desk.database.write(work, actor=ANA)


def ask(desk: Desk, work: Callable[[ReadTx], Any]) -> Any:
    return desk.database.read(work)


def with_people(desk: Desk, *names: str) -> None:
    for name in names:
        do(desk, lambda tx, name=name: people.save(tx, name, Profile(time_zone="UTC")))


def weekly(*users: Any, **fields: Any) -> dict[str, Any]:
    rotation = {"frequency": "weekly", "start": MONDAY}
    return {"time_zone": "UTC", "layers": [{"name": "main", "users": list(users), "rotation": rotation, **fields}]}


def save(desk: Desk, definition: dict[str, Any], name: str = "payments", **how: Any) -> Any:
    return do(desk, lambda tx: schedules.save(tx, name, schedule_of(definition), **how)[0])


def on_call(desk: Desk, at: datetime | None = None, name: str = "payments") -> list[str]:
    found: list[str] = ask(desk, lambda tx: schedules.on_call(tx, name, at or tx.now))
    return found


def override(desk: Desk, start: datetime, end: datetime, add: str | None = None, remove: str | None = None) -> Any:
    return do(desk, lambda tx: overriding.add_override(tx, "payments", Override(0, start, end, add, remove), "dentist"))


def pointers(error: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [one.pointer for one in error.value.errors]


@pytest.fixture
def team(desk: Desk) -> Desk:
    """A desk with three people, two of whom take weekly turns."""
    with_people(desk, "ana", "rui", "eva")
    save(desk, weekly("ana", "rui"))
    return desk


def test_a_change_holds_from_its_instant_on_and_the_past_stays(team: Desk) -> None:
    assert on_call(team) == ["ana"]
    team.clock.advance(hours=2)
    save(team, weekly("rui", "ana"))
    assert (on_call(team), on_call(team, START + HOUR), on_call(team, START - HOUR)) == (["rui"], ["ana"], [])
    team.clock.advance(hours=2)
    do(team, lambda tx: schedules.remove(tx, "payments"))
    assert [on_call(team, START + hours * HOUR) for hours in (1, 3, 5)] == [["ana"], ["rui"], []]
    team.clock.advance(hours=2)
    assert save(team, weekly("eva")).version == 4
    found = ask(team, lambda tx: schedules.shifts(tx, "payments", START, START + 8 * HOUR)).shifts
    hours = [((one.start - START) / HOUR, (one.end - START) / HOUR, one.users) for one in found]
    assert hours == [(0, 2, ("ana",)), (2, 4, ("rui",)), (6, 8, ("eva",))]
    assert team.kinds("schedule:payments") == ["ScheduleSaved", "ScheduleSaved", "ScheduleRemoved", "ScheduleSaved"]


def test_changes_make_versions_one_after_the_other_and_stale_ones_are_refused(team: Desk) -> None:
    assert save(team, weekly("ana", "rui")).version == 1
    assert save(team, weekly("ana", "rui", name="other"), seen_version=1).version == 2
    with pytest.raises(PreconditionFailed):
        save(team, weekly("rui"), seen_version=1)
    with pytest.raises(Invalid) as error:
        save(team, weekly("ana", ["rui", "zoe"], "max"))
    assert pointers(error) == ["/layers/0/users/1/1", "/layers/0/users/2"]
    saved = in_threads(lambda: save(team, weekly("eva")), lambda: save(team, weekly("rui")))
    assert sorted(row.version for row in saved) == [3, 4]
    last = max(saved, key=lambda row: row.version)
    assert on_call(team) == last.definition["layers"][0]["users"]


def test_overrides_replace_add_and_remove_and_never_reach_into_the_past(team: Desk) -> None:
    row = override(team, START - DAY, START + 2 * HOUR, add="eva", remove="ana")
    assert row.start == START
    override(team, START + HOUR, START + 3 * HOUR, add="rui")
    override(team, START + 4 * HOUR, START + 5 * HOUR, remove="ana")
    times = [on_call(team, START + hours * HOUR) for hours in (0, 1, 2, 3, 4, 5)]
    assert times == [["eva"], ["eva", "rui"], ["ana", "rui"], ["ana"], [], ["ana"]]
    assert ask(team, lambda tx: schedules.next_change(tx, "payments", START)) == START + HOUR
    team.clock.advance(minutes=30)
    do(team, lambda tx: overriding.end_override(tx, "payments", row.id))
    assert [on_call(team, START + minutes * HOUR / 60) for minutes in (29, 30)] == [["eva"], ["ana"]]
    with pytest.raises(Conflict):
        do(team, lambda tx: overriding.end_override(tx, "payments", row.id))
    with pytest.raises(Invalid) as error:
        override(team, START - HOUR, START, add="eva")
    assert pointers(error) == ["/end"]
    with pytest.raises(Invalid) as error:
        override(team, START, START + DAY, add="zoe", remove="max")
    assert pointers(error) == ["/add", "/remove"]


def test_two_who_swap_take_each_others_place(team: Desk) -> None:
    monday = datetime.fromisoformat(f"{MONDAY}+00:00")
    give = Part("ana", START, START + 5 * HOUR)
    take = Part("rui", monday + 8 * DAY, monday + 9 * DAY)
    do(team, lambda tx: overriding.swap(tx, "payments", give, take, ""))
    assert [on_call(team, at) for at in (START, START + 5 * HOUR)] == [["rui"], ["ana"]]
    assert [on_call(team, monday + days * DAY) for days in (7, 8, 9)] == [["rui"], ["ana"], ["rui"]]
    with pytest.raises(Invalid, match="eva is not on call by payments") as error:
        do(team, lambda tx: overriding.swap(tx, "payments", Part("eva", START, START + DAY), take, ""))
    assert pointers(error) == ["/give/user"]


def test_a_temporary_schedule_takes_the_place_of_all_layers_and_overrides_change_it(team: Desk) -> None:
    shifts = (FixedShift(START + HOUR, START + 3 * HOUR, ("eva",)),)
    temporary = Temporary(0, START, START + 4 * HOUR, shifts)
    do(team, lambda tx: overriding.add_temporary(tx, "payments", temporary, "feast"))
    override(team, START + 2 * HOUR, START + 3 * HOUR, add="rui", remove="eva")
    assert [on_call(team, START + hours * HOUR) for hours in range(5)] == [[], ["eva"], ["rui"], [], ["ana"]]
    rows, _ = ask(team, lambda tx: overriding.find_overrides(tx, "payments", ends_after=START, cursor=None, limit=10))
    assert [row.kind for row in rows] == ["temporary", "override"]


def test_who_is_away_stays_on_call_and_who_was_removed_does_not(team: Desk) -> None:
    do(team, lambda tx: people.add_away(tx, "ana", Away(START + HOUR, START + 2 * HOUR, "dentist")))
    with_people(team, "max")
    save(team, weekly(["ana", "max"], "rui"))
    save(team, weekly("ana"), "other")
    team.clock.advance(minutes=30)
    do(team, lambda tx: people.remove(tx, "max"))
    assert (on_call(team, START + HOUR), on_call(team, START)) == (["ana"], ["ana", "max"])
    found = ask(team, lambda tx: looking.problems(tx, "payments"))
    assert [(one.kind, one.user, one.other) for one in found[:3]] == [
        ("double_booked", "ana", "other"),
        ("removed", "max", None),
        ("away", "ana", None),
    ]
    [removed] = team.events(kind="UserRemoved")
    assert removed.data["schedules"] == ["payments"]
    assert not ask(team, lambda tx: people_store.user(tx, "ana")).is_away(START)
    assert ask(team, lambda tx: people_store.user(tx, "ana")).is_away(START + HOUR)


def test_a_gap_that_comes_near_is_told_of_once(team: Desk) -> None:
    team.run_due_timers()
    assert team.events(kind="ScheduleGapFound") == []
    override(team, START + 2 * DAY, START + 3 * DAY, remove="ana")
    override(team, START + 8 * DAY, START + 9 * DAY, remove="rui")
    for _ in range(3):
        team.run_due_timers()
        team.clock.advance(days=1)
    gaps = [(event.data["start"][:10], event.data["end"][:10]) for event in team.events(kind="ScheduleGapFound")]
    assert gaps == [("2026-11-26", "2026-11-27"), ("2026-12-02", "2026-12-03")]
    do(team, lambda tx: people.remove(tx, "rui"))
    team.run_due_timers()
    *_, last = team.events(kind="ScheduleGapFound")
    assert last.data["start"] == "2026-11-30T09:00:00Z"


def test_a_calendar_is_for_whoever_has_the_secret_and_names_shifts_the_same_each_time(team: Desk) -> None:
    def read(token: str, **how: Any) -> bytes:
        found: bytes = ask(team, lambda tx: calendars.calendar_of(tx, "payments", token, **how))
        return found

    old = do(team, lambda tx: calendars.share_calendar(tx, "payments"))
    token = do(team, lambda tx: calendars.share_calendar(tx, "payments"))
    for wrong in (old, "", token[:-1]):
        with pytest.raises(NotFound):
            read(wrong)
    assert team.database.read(lambda tx: schedules.get(tx, "payments")).calendar_hash.find(token) == -1
    do(team, lambda tx: people.save(tx, "ana", Profile(display_name="Ana Sousa, " + "of the night shift " * 5)))
    text = read(token)
    assert text.replace(b"\r\n", b"").count(b"\n") == 0
    assert max(map(len, text.split(b"\r\n"))) <= 75
    events = list(Calendar.from_ical(text).walk("VEVENT"))
    assert all(event["dtstart"].dt.utcoffset() == timedelta(0) for event in events)
    assert str(events[0]["summary"]).startswith("Ana Sousa, of the night shift")
    team.clock.advance(days=3)
    later = {str(event["uid"]) for event in Calendar.from_ical(read(token)).walk("VEVENT")}
    assert {str(event["uid"]) for event in events} <= later
    assert len(list(Calendar.from_ical(read(token, user="rui")).walk("VEVENT"))) < len(events)
    do(team, lambda tx: calendars.revoke_calendar(tx, "payments"))
    with pytest.raises(NotFound):
        read(token)


def code_of(desk: Desk, method_id: int) -> str | None:
    found: str | None = ask(desk, lambda tx: people_store.code_to_send(tx, method_id))
    return found


def test_a_contact_method_is_verified_by_the_code_that_was_sent(team: Desk) -> None:
    method = do(team, lambda tx: people.add_method(tx, "ana", MethodKind.SMS, "+351 912 345 678"))
    assert method.address == "+351912345678"
    with pytest.raises(Conflict):
        do(team, lambda tx: people.add_method(tx, "ana", MethodKind.SMS, "+351912345678"))

    def tried(code: str) -> Verdict:
        found: Verdict = do(team, lambda tx: people.try_code(tx, "ana", method.id, code))
        return found

    assert tried("000000") is Verdict.NONE
    do(team, lambda tx: people.ask_code(tx, "ana", method.id))
    with pytest.raises(Conflict, match="less than 60 s ago"):
        do(team, lambda tx: people.ask_code(tx, "ana", method.id))
    code = code_of(team, method.id)
    assert code is not None
    wrong = "1" * 6 if code != "1" * 6 else "2" * 6
    assert [tried(wrong) for _ in range(5)] == [Verdict.WRONG] * 5
    assert tried(code) is Verdict.SPENT
    team.clock.advance(minutes=2)
    do(team, lambda tx: people.ask_code(tx, "ana", method.id))
    code = code_of(team, method.id) or ""
    team.clock.advance(minutes=10)
    team.run_due_timers()
    assert (tried(code), code_of(team, method.id)) == (Verdict.EXPIRED, None)
    assert ask(team, lambda tx: tx.execute(select(contact_codes)).all()) == []
    do(team, lambda tx: people.ask_code(tx, "ana", method.id))
    code = code_of(team, method.id) or ""
    do(team, lambda tx: people_store.drop_code(tx, method.id))  # as whoever sent it does
    kept = ask(team, lambda tx: tx.execute(select(contact_methods)).one())
    assert code not in str(kept)
    assert all(code not in str(event.data) for event in team.events())
    assert tried(f" {code}") is Verdict.RIGHT
    [shown] = ask(team, lambda tx: people_store.methods_of(tx, ["ana"]))["ana"]
    assert shown.verified_at == team.clock.now()
    assert tried("anything") is Verdict.RIGHT  # it is verified: nothing is left to try
    assert ask(team, lambda tx: tx.execute(select(contact_methods.c.code_hash)).scalar_one()) is None


def test_a_method_that_is_refused_for_good_is_not_used_until_it_is_enabled(team: Desk) -> None:
    method = do(team, lambda tx: people.add_method(tx, "ana", MethodKind.WEBHOOK, "https://example.org/hook"))
    do(team, lambda tx: people.verify_by_hand(tx, "ana", method.id))
    for _ in range(2):
        do(team, lambda tx: people.disable_method(tx, method.id, "410 Gone"))
    assert ask(team, lambda tx: people.methods(tx, "ana"))[0].disabled_reason == "410 Gone"
    do(team, lambda tx: people.enable_method(tx, "ana", method.id))
    do(team, lambda tx: people.remove(tx, "ana"))
    assert team.kinds("user:ana")[2:] == [
        "ContactMethodVerified",
        "ContactMethodDisabled",
        "ContactMethodEnabled",
        "UserRemoved",
    ]
    assert ask(team, lambda tx: people_store.methods_of(tx, ["ana"])) == {}
    with pytest.raises(NotFound):
        ask(team, lambda tx: people.get(tx, "ana"))
    assert do(team, lambda tx: people.save(tx, "ana", Profile()))[1]
