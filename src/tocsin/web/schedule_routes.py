"""Schedules over HTTP: make and try them, who is on call, overrides and swaps, problems, loads, the calendar."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.kit.errors import FieldError, Invalid
from tocsin.notify import reference_service as removing
from tocsin.oncall import calendar_service as calendars
from tocsin.oncall import coverage, people_store, trying
from tocsin.oncall import override_service as overriding
from tocsin.oncall import problem_service as looking
from tocsin.oncall import schedule_service as schedules
from tocsin.oncall.declaring import kept_schedule, override_of, overrides_of, schedule_of, temporary_of
from tocsin.oncall.override_service import Part
from tocsin.oncall.restrictions import Stretch
from tocsin.oncall.schedule_store import OVERRIDE, OverrideRow, ScheduleRow
from tocsin.oncall.schedules import Schedule, TooManyShifts
from tocsin.storage.tx import ReadTx, Tx
from tocsin.web.preconditions import IN_USE, Force, IfMatch, agreed, seen_tags
from tocsin.web.schedule_schemas import (
    CalendarAddressOut,
    CalendarGoneOut,
    LoadOut,
    LoadsOut,
    OnCallOut,
    OnCallPageOut,
    OnCallPersonOut,
    OnCallQueryIn,
    OverrideOut,
    OverridePageOut,
    OverrideQueryIn,
    OverrideWhyIn,
    PartIn,
    ScheduleIn,
    ScheduleOut,
    SchedulePageOut,
    ScheduleProblemOut,
    ScheduleProblemsOut,
    ScheduleTrialIn,
    ScheduleVersionOut,
    ScheduleVersionPageOut,
    ShiftQueryIn,
    ShiftsOut,
    SwapIn,
    SwapOut,
    TemporaryWhyIn,
    TriedOut,
    WindowIn,
    shifts_out,
)
from tocsin.web.schemas import Moment, ProblemOut, QueryIn
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["schedules"])
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
Id = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
SHOWN: Final = timedelta(days=14)
CALENDAR_TYPE: Final = "text/calendar; charset=utf-8"
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_FULL: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "There are as many as there may be"}
}
_OVER: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemOut, "description": "It is over"}}


def _out(row: ScheduleRow) -> ScheduleOut:
    kept = {name: getattr(row, name) for name in ("name", "version", "created_at", "updated_at", "updated_by")}
    return ScheduleOut(**kept, **row.definition, has_calendar=row.calendar_hash is not None)


def _answer(row: ScheduleRow, status: int = 200) -> Response:
    headers = {"etag": f'"{row.version}"'}
    if status == 201:
        headers["location"] = f"/schedules/{row.name}"
    return Response(_out(row).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(schedules.get(tx, name).version, seen)


@router.get("/schedules", summary="List schedules")
def list_schedules(query: Annotated[QueryIn, Query()], with_: With) -> SchedulePageOut:
    """All schedules by name."""
    found, cursor = schedules.find(with_.database, cursor=query.cursor, limit=query.limit)
    return SchedulePageOut(items=[_out(row) for row in found], next=cursor)


@router.post("/schedules/preview", summary="Try a schedule")
def preview_schedule(trial: ScheduleTrialIn, with_: With) -> TriedOut:
    """The final shifts of a schedule that is in the body, from `since` to `until`. Nothing is kept.

    A layer has the group on call whose turn it is while one of its restrictions holds. Of the layers that have somebody
    those with the highest priority count. A temporary schedule takes the place of all layers; overrides then add,
    remove or replace one person, in their order. Everything is exact in UTC: what clocks skip or show twice is said
    with each field.
    """
    schedules.check_window(trial.since, trial.until)
    try:
        schedule = schedule_of(trial.schedule.definition())
        overrides, temporary = overrides_of(
            [one.model_dump() for one in trial.schedule.overrides],
            [one.model_dump() for one in trial.schedule.temporary],
        )
    except Invalid as error:
        raise _under("/schedule", error) from error
    if trial.history and trial.now is None:
        raise Invalid("now: expected with a history", errors=(FieldError("/now", "expected with a history"),))
    now = trial.now
    history = [] if now is None else [one.shift(now) for one in trial.history]
    try:
        found = trying.tried(
            schedule, overrides, temporary, trial.since, trial.until, now=now, history=history, join=trial.join
        )
    except TooManyShifts as error:
        raise schedules.too_many() from error
    gaps = coverage.gaps(found.shifts, schedule.coverage, schedule.time_zone, trial.since, trial.until)
    named = Schedule(schedule.time_zone, schedule.layers, overrides, temporary).people
    known = with_.database.read(lambda tx: people_store.users(tx, named))
    unknown = [name for name in named if name not in known or known[name].removed]
    return TriedOut(**shifts_out(found, trial.until, gaps), unknown_users=unknown)


def _under(prefix: str, error: Invalid) -> Invalid:
    errors = tuple(FieldError(prefix + one.pointer, one.detail) for one in error.errors)
    return Invalid(str(error.facts["detail"]), errors=errors)


@router.get("/schedules/{name}", response_model=ScheduleOut, summary="One schedule", responses=_MISSING)
def get_schedule(name: Name, with_: With) -> Response:
    """A schedule as it is in force."""
    return _answer(with_.database.read(lambda tx: schedules.get(tx, name)))


@router.put(
    "/schedules/{name}",
    response_model=ScheduleOut,
    summary="Make or replace a schedule",
    responses={201: {"model": ScheduleOut, "description": "It is new"}, **_MISSING, **_STALE, **_FULL},
)
def put_schedule(name: Name, schedule: ScheduleIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a schedule is: what is left out has its default. It holds from now on; what is past stays as it
    was, and so do overrides. The same again makes no new version.

    What is wrong is named place by place: a turn without a length, a layer with no one in it, a zone or a user that
    there is not.
    """
    seen = seen_tags(if_match)
    meant = schedule_of(schedule.definition())

    def work(tx: Tx) -> Response:
        row, is_new = schedules.save(tx, name, meant, seen_version=_agreed(tx, name, seen))
        return _answer(row, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/schedules/{name}",
    response_model=ScheduleOut,
    summary="Remove a schedule",
    responses={**_MISSING, **IN_USE, **_STALE},
)
def remove_schedule(name: Name, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove a schedule, and answer with what it was: nobody is on call by it from now on. What is past stays.

    One that a route or an escalation policy calls is kept, unless by `force`: a step that finds nobody there calls its
    fallback then.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        return _answer(removing.remove_schedule(tx, name, seen_version=_agreed(tx, name, seen), force=force))

    return at.write(work)


@router.get("/schedules/{name}/versions", summary="A schedule's versions", responses=_MISSING)
def schedule_versions(name: Name, query: Annotated[QueryIn, Query()], with_: With) -> ScheduleVersionPageOut:
    """What a schedule said and from when, newest first, with who changed it; also of one that was removed."""
    found, cursor = schedules.versions(with_.database, name, cursor=query.cursor, limit=query.limit)
    return ScheduleVersionPageOut(items=[ScheduleVersionOut.model_validate(one) for one in found], next=cursor)


# Who is on call.


@router.get("/on-call", summary="Who is on call")
def all_on_call(query: Annotated[OnCallQueryIn, Query()], with_: With) -> OnCallPageOut:
    """Who is on call at an instant by each schedule, by the schedule's name."""
    found, cursor = schedules.find(with_.database, cursor=query.cursor, limit=query.limit)

    def look(tx: ReadTx) -> list[OnCallOut]:
        return [_on_call(tx, row.name, query.at or tx.now) for row in found]

    return OnCallPageOut(items=with_.database.read(look), next=cursor)


@router.get("/schedules/{name}/on-call", summary="Who is on call by a schedule", responses=_MISSING)
def on_call(
    name: Name, with_: With, at: Annotated[Moment | None, Query(description="Now by default.")] = None
) -> OnCallOut:
    """Who is on call at any instant, past or to come, and until when that stays so as far as is known now.

    Somebody who is away is on call all the same (`away` says so) until an override puts another in the place; somebody
    who was removed is not.
    """

    def look(tx: ReadTx) -> OnCallOut:
        schedules.ever(tx, name)
        return _on_call(tx, name, at or tx.now)

    return with_.database.read(look)


def _on_call(tx: ReadTx, name: str, at: datetime) -> OnCallOut:
    there = schedules.on_call(tx, name, at)
    users = people_store.users(tx, there)
    shown = [
        OnCallPersonOut(
            name=who,
            display_name=users[who].display_name if who in users else who,
            away=who in users and users[who].is_away(at),
        )
        for who in there
    ]
    return OnCallOut(schedule=name, at=at, users=shown, until=schedules.next_change(tx, name, at))


@router.get("/schedules/{name}/shifts", summary="The final schedule", responses=_MISSING)
def schedule_shifts(name: Name, query: Annotated[ShiftQueryIn, Query()], with_: With) -> ShiftsOut:
    """Who is on call from `since` to `until`: of what is past by the versions that held then, of what is to come by the
    present one, with all overrides. Also of a schedule that was removed."""

    def look(tx: ReadTx) -> ShiftsOut:
        row = schedules.ever(tx, name)
        since, until = _window(query, tx.now)
        found = schedules.shifts(tx, name, since, until, join=query.join)
        gaps: list[Stretch] = []
        if row is not None and row.created_at < until:
            kept = kept_schedule(row.definition)
            gaps = coverage.gaps(found.shifts, kept.coverage, kept.time_zone, max(since, row.created_at), until)
        return ShiftsOut(**shifts_out(found, until, gaps, query.user))

    return with_.database.read(look)


def _window(query: WindowIn, now: datetime) -> tuple[datetime, datetime]:
    since = query.since or now
    return since, query.until or since + SHOWN


@router.get("/schedules/{name}/problems", summary="What is wrong with a schedule", responses=_MISSING)
def schedule_problems(name: Name, with_: With) -> ScheduleProblemsOut:
    """What there is to look at in the next 90 days, by start: when nobody is on call and somebody should be; who is on
    call and away, removed, or booked twice at once; overrides from which nothing follows."""
    found = with_.database.read(lambda tx: looking.problems(tx, name))
    return ScheduleProblemsOut(items=[ScheduleProblemOut.model_validate(one) for one in found], next=None)


@router.get("/schedules/{name}/load", summary="Who bears how much", responses=_MISSING)
def schedule_load(name: Name, query: Annotated[WindowIn, Query()], with_: With) -> LoadsOut:
    """Hours, nights and weekends of each person within a window, the most first."""

    def look(tx: ReadTx) -> LoadsOut:
        since, until = _window(query, tx.now)
        items = [
            LoadOut(
                user=one.user,
                shifts=one.shifts,
                on_call_s=one.on_call.total_seconds(),
                night_s=one.night.total_seconds(),
                nights=one.nights,
                weekend_s=one.weekend.total_seconds(),
                weekends=one.weekends,
            )
            for one in looking.loads(tx, name, since, until)
        ]
        return LoadsOut(since=since, until=until, items=items, next=None)

    return with_.database.read(look)


# Overrides, swaps, temporary schedules.


def _override_out(row: OverrideRow) -> OverrideOut:
    kept = {name: getattr(row, name) for name in ("id", "kind", "start", "end", "reason", "created_at", "created_by")}
    said = row.data if row.kind == OVERRIDE else {"add": None, "remove": None, **row.data}
    return OverrideOut(**kept, add=said["add"], remove=said["remove"], shifts=said.get("shifts"), ended_at=row.ended_at)


def _override_answer(row: OverrideRow, status: int = 200) -> Response:
    headers = {"location": f"/schedules/{row.schedule}/overrides/{row.id}"} if status == 201 else {}
    return Response(_override_out(row).model_dump_json(), status, headers, "application/json")


@router.get("/schedules/{name}/overrides", summary="List overrides", responses=_MISSING)
def list_overrides(name: Name, query: Annotated[OverrideQueryIn, Query()], with_: With) -> OverridePageOut:
    """Overrides and temporary schedules that have not ended, by start; or those that ended after an instant."""

    def look(tx: ReadTx) -> OverridePageOut:
        found, cursor = overriding.find_overrides(
            tx, name, ends_after=query.ends_after or tx.now, cursor=query.cursor, limit=query.limit
        )
        return OverridePageOut(items=[_override_out(row) for row in found], next=cursor)

    return with_.database.read(look)


@router.post(
    "/schedules/{name}/overrides",
    status_code=201,
    response_model=OverrideOut,
    summary="Add an override",
    responses={**_MISSING, **_FULL},
)
def add_override(name: Name, override: OverrideWhyIn, at: AtDesk) -> Response:
    """Add, remove or replace one person for a while. Of two at once the one made later is applied to what the earlier
    one left; one that begins in the past begins now."""
    meant = override_of(override.model_dump())
    return at.write(lambda tx: _override_answer(overriding.add_override(tx, name, meant, override.reason), 201))


@router.post(
    "/schedules/{name}/temporary",
    status_code=201,
    response_model=OverrideOut,
    summary="Add a temporary schedule",
    responses={**_MISSING, **_FULL},
)
def add_temporary(name: Name, temporary: TemporaryWhyIn, at: AtDesk) -> Response:
    """Put shifts that are written down in the place of all layers for a while. Overrides still change them."""
    meant = temporary_of(temporary.model_dump())
    return at.write(lambda tx: _override_answer(overriding.add_temporary(tx, name, meant, temporary.reason), 201))


@router.post(
    "/schedules/{name}/swaps",
    status_code=201,
    response_model=SwapOut,
    summary="Swap shifts",
    responses={**_MISSING, **_FULL},
)
def swap(name: Name, swapped: SwapIn, at: AtDesk) -> Response:
    """Let two people take each other's place: two overrides that are made together, or not at all."""

    def part(said: PartIn) -> Part:
        return Part(said.user, said.start, said.end)

    def work(tx: Tx) -> Response:
        rows = overriding.swap(tx, name, part(swapped.give), part(swapped.take), swapped.reason)
        out = SwapOut(overrides=[_override_out(row) for row in rows])
        return Response(out.model_dump_json(), 201, media_type="application/json")

    return at.write(work)


@router.get("/schedules/{name}/overrides/{id}", response_model=OverrideOut, summary="One override", responses=_MISSING)
def get_override(name: Name, id: Id, with_: With) -> Response:  # noqa: A002
    """An override or a temporary schedule."""
    return _override_answer(with_.database.read(lambda tx: overriding.override(tx, name, id)))


@router.delete(
    "/schedules/{name}/overrides/{id}",
    response_model=OverrideOut,
    summary="End an override",
    responses={**_MISSING, **_OVER},
)
def end_override(name: Name, id: Id, at: AtDesk) -> Response:  # noqa: A002
    """End an override or a temporary schedule now. What of it has passed stays; one that has not begun never holds."""
    return at.write(lambda tx: _override_answer(overriding.end_override(tx, name, id)))


# The calendar.


@router.post(
    "/schedules/{name}/calendar",
    status_code=201,
    response_model=CalendarAddressOut,
    summary="Make a calendar's secret address",
    responses=_MISSING,
)
def share_calendar(name: Name, at: AtDesk) -> Response:
    """Make a secret address at which calendar programs find the schedule; an earlier one is no longer good.

    Only a hash of the secret is kept: it is shown this once, and for the same reason no answer is kept for an
    `Idempotency-Key`; a repeat makes another address.
    """
    token = at.services.database.write(lambda tx: calendars.share_calendar(tx, name), actor=at.actor)
    out = CalendarAddressOut(path=f"/schedules/{name}/calendar.ics?token={token}", token=token)
    return Response(out.model_dump_json(), 201, media_type="application/json")


@router.post(
    "/schedules/{name}/calendar/revoke",
    response_model=CalendarGoneOut,
    summary="Revoke a calendar's secret address",
    responses=_MISSING,
)
def revoke_calendar(name: Name, at: AtDesk) -> Response:
    """The secret address is no longer good."""

    def work(tx: Tx) -> Response:
        calendars.revoke_calendar(tx, name)
        return Response(CalendarGoneOut().model_dump_json(), media_type="application/json")

    return at.write(work)


@router.get(
    "/schedules/{name}/calendar.ics",
    summary="The final schedule as iCalendar",
    response_class=Response,
    responses={200: {"content": {"text/calendar": {}}, "description": "RFC 5545, in UTC"}, **_MISSING},
)
def calendar(
    name: Name,
    with_: With,
    token: Annotated[str, Query(max_length=200, description="The secret of its address.")] = "",
    user: Annotated[str | None, Query(max_length=256, description="Shifts of that person alone.")] = None,
) -> Response:
    """The final schedule from 30 days ago to 180 days ahead, for whoever has the secret: no key is needed. A shift has
    the same UID whenever it is asked for. Calendar programs look for changes when they like; Google's, once or twice a
    day."""
    found = with_.database.read(lambda tx: calendars.calendar_of(tx, name, token, user=user))
    return Response(found, media_type=CALENDAR_TYPE, headers={"cache-control": "private, no-store"})
