"""Use cases of SLAs: policies and calendars; which policy a ticket has; its clocks, and what is told of them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.alerts import declaration_store, rule_store
from tocsin.kit.calendar import ALWAYS, Calendar, NoWorkingTime, Pause, due_at, elapsed, empty_year, open_spans
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import (
    CalendarRemoved,
    CalendarSaved,
    Event,
    Recorded,
    SlaAssigned,
    SlaAtRisk,
    SlaBreached,
    SlaPolicyRemoved,
    SlaPolicySaved,
    TicketOpened,
    TicketPrioritised,
)
from tocsin.kit.priorities import Priority
from tocsin.query.letters import fold
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import sla
from tocsin.tickets import sla_store as store
from tocsin.tickets.calendars import calendar_of, check_lasting, definition_of, kept_calendar
from tocsin.tickets.policies import Policy, Traits, check, choose, policy_of, tie
from tocsin.tickets.sla import Assigned, Clock, Facts, Happened, Mark, Terms
from tocsin.tickets.sla_store import CALENDAR, POLICY, Item, ItemVersion, SlaRow
from tocsin.tickets.store import Ticket

TIMER: Final = "ticket.sla"
SPANS_SHOWN: Final = 7
YEARS_AHEAD: Final = 2
FURTHEST: Final = timedelta(days=3653)
_WORDS: Final = {POLICY: "SLA policy", CALENDAR: "calendar"}
_RULE: Final = "rule:"


# Policies and calendars.


def get(tx: ReadTx, kind: str, name: str) -> Item:
    """One policy or calendar. Raises NotFound."""
    found = store.get(tx, kind, name)
    if found is None:
        raise NotFound(what=_WORDS[kind], id=name)
    return found


def save_calendar(
    tx: Tx, name: str, definition: Mapping[str, Any], *, seen_version: int | None = None, only_new: bool = False
) -> tuple[Item, bool]:
    """Make or replace a calendar, and whether it is new. What changes nothing makes no version.

    Raises Invalid, PreconditionFailed; with `only_new`, Conflict when there is one of that name.
    """
    calendar = check_calendar(definition, tx.now)
    store.lock(tx)
    for policy in policies(tx):
        if policy.calendar == name:
            _check_reach(policy, calendar, tx.now, "/hours")
    return _save(tx, CALENDAR, name, definition_of(calendar), seen_version, only_new=only_new)


def check_calendar(definition: Mapping[str, Any], now: datetime) -> Calendar:
    """The calendar that is said. Raises Invalid. What is worked out of it is kept: done before a transaction, it is
    quick within."""
    calendar = calendar_of(definition)
    check_lasting(calendar, now)
    return calendar


def look_ahead(tx: ReadTx) -> None:
    """Work out the years to come of all calendars, so that no ticket waits for that when it opens."""
    for item in store.all_of(tx, CALENDAR):
        empty_year(kept_calendar(item.definition), tx.now, YEARS_AHEAD)


def save_policy(
    tx: Tx, policy: Policy, *, seen_version: int | None = None, only_new: bool = False
) -> tuple[Item, bool]:
    """Make or replace a policy, and whether it is new. Raises Invalid, also when it ties with another one."""
    check(policy)
    store.lock(tx)
    if policy.calendar is not None:
        calendar = store.get(tx, CALENDAR, policy.calendar)
        if calendar is None:
            detail = f"there is no calendar {policy.calendar}"
            raise Invalid(f"calendar: {detail}", errors=(FieldError("/calendar", detail),))
        _check_reach(policy, kept_calendar(calendar.definition), tx.now, "/calendar")
    for other in policies(tx):
        tied = tie(policy, other) if other.name != policy.name else None
        if tied is not None:
            detail = f"ties with the policy {other.name}: for {tied}, neither is the more specific"
            raise Invalid(detail, errors=(FieldError("", detail),))
    return _save(tx, POLICY, policy.name, policy.definition(), seen_version, only_new=only_new)


def _check_reach(policy: Policy, calendar: Calendar, now: datetime, pointer: str) -> None:
    """Raises Invalid when a target takes so much longer by a calendar that nobody would live by it."""
    target = timedelta(seconds=max(policy.acknowledge_s or 0, policy.resolve_s or 0))
    try:
        due = due_at(now, target, calendar)
    except NoWorkingTime:
        due = None
    if due is None or due > now + FURTHEST:
        when = "never come" if due is None else f"come in {due:%Y}"
        detail = f"by this calendar a deadline of the policy {policy.name} would {when}; expected it within 10 years"
        raise Invalid(detail, errors=(FieldError(pointer, detail),))


def _save(
    tx: Tx, kind: str, name: str, definition: Mapping[str, Any], seen_version: int | None, *, only_new: bool
) -> tuple[Item, bool]:
    before = store.get(tx, kind, name)
    if before is not None and only_new:
        raise Conflict(detail=f"there is a {_WORDS[kind]} {name} already; replace it with PUT")
    _agree(0 if before is None else before.version, seen_version)
    if before is not None and before.definition == definition:
        return before, False
    version = store.latest_version(tx, kind, name) + 1
    store.put(tx, kind, name, version, definition, is_new=before is None)
    old = {} if before is None else before.definition
    changed = tuple(key for key in definition if before is not None and definition[key] != old.get(key))
    saved = SlaPolicySaved if kind == POLICY else CalendarSaved
    tx.emit(saved(name, version, changed=changed))
    return get(tx, kind, name), before is None


def remove(tx: Tx, kind: str, name: str, *, seen_version: int | None = None) -> Item:
    """Take a policy or a calendar out of force. Raises NotFound, PreconditionFailed, Conflict for one in use."""
    store.lock(tx)
    found = get(tx, kind, name)
    _agree(found.version, seen_version)
    users = [policy.name for policy in policies(tx) if policy.calendar == name] if kind == CALENDAR else []
    if users:
        raise Conflict(detail=f"the calendar {name} is used by {' and '.join(f'the policy {user}' for user in users)}")
    store.remove(tx, kind, name, found.version + 1)
    tx.emit((SlaPolicyRemoved if kind == POLICY else CalendarRemoved)(name, found.version + 1))
    return found


def _agree(version: int, seen_version: int | None) -> None:
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)


def find(database: Database, kind: str, *, cursor: str | None, limit: int) -> tuple[list[Item], str | None]:
    """A page of policies or calendars by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, f"sla:{kind}", str)[0])
    found = database.read(lambda tx: store.page(tx, kind, after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(f"sla:{kind}", items[-1].name) if len(found) > limit else None


def versions(
    database: Database, kind: str, name: str, *, cursor: str | None, limit: int
) -> tuple[list[ItemVersion], str | None]:
    """A page of versions, newest first, also of one that was removed. Raises NotFound when there never was any."""
    before = None if cursor is None else int(decode_cursor(cursor, f"sla:{kind}:versions", int)[0])
    found = database.read(lambda tx: store.versions(tx, kind, name, before=before, limit=limit + 1))
    if not found and before is None:
        raise NotFound(what=_WORDS[kind], id=name)
    items = found[:limit]
    return items, encode_cursor(f"sla:{kind}:versions", items[-1].version) if len(found) > limit else None


def policies(tx: ReadTx) -> list[Policy]:
    """The policies in force."""
    return [policy_of(item.name, item.version, item.definition) for item in store.all_of(tx, POLICY)]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a calendar says of a start with a target, or with an end."""

    due_at: datetime | None
    elapsed: timedelta | None
    working: list[tuple[datetime, datetime]]


def try_calendar(
    definition: Mapping[str, Any],
    now: datetime,
    *,
    start: datetime,
    target: timedelta | None,
    end: datetime | None,
    pauses: Sequence[Pause],
) -> Trial:
    """Reckon with a calendar that is not kept. Raises Invalid."""
    calendar = check_calendar(definition, now)
    spans = [span for span, _ in zip(open_spans(start, calendar), range(SPANS_SHOWN), strict=False)]
    try:
        due = None if target is None else due_at(start, target, calendar, pauses)
    except NoWorkingTime as error:
        raise Invalid(str(error), errors=(FieldError("/calendar", str(error)),)) from error
    return Trial(due, None if end is None else elapsed(start, end, calendar, pauses), spans)


# Clocks: handlers of ticket events (see `pipeline`), and what is due.


def start(tx: Tx, opened: Sequence[Recorded[TicketOpened]]) -> None:
    """Give each new ticket the policy that is about it."""
    found = policies(tx)
    if not found:
        return
    rows = store.rows(tx, [one.event.ticket_id for one in opened])
    facts = {one.event.ticket_id: sla.opened(one.at) for one in opened}
    causes = {one.event.ticket_id: one.id for one in opened}
    traits = _traits(tx, rows.values(), found)
    for one in opened:
        traits[one.event.ticket_id] = replace(traits[one.event.ticket_id], priority=Priority[one.event.priority])
    chosen = {ticket_id: policy for ticket_id in rows if (policy := choose(found, traits[ticket_id])) is not None}
    _assign(tx, {ticket_id: facts[ticket_id] for ticket_id in chosen}, chosen, why="opened", causes=causes)


def reassign(tx: Tx, prioritised: Sequence[Recorded[TicketPrioritised]]) -> None:
    """Another priority may mean another policy: the clocks then run by that one from the opening on."""
    causes = {one.event.ticket_id: one.id for one in prioritised}
    rows = store.rows(tx, causes)
    found = policies(tx)
    traits = _traits(tx, rows.values(), found)
    chosen = {ticket_id: choose(found, traits[ticket_id]) for ticket_id in rows}
    changed = [ticket_id for ticket_id, row in rows.items() if _name(chosen[ticket_id]) != _assigned_name(row)]
    facts = _replayed(tx, changed)
    _assign(tx, facts, {ticket_id: chosen[ticket_id] for ticket_id in changed}, why="priority", causes=causes)


def _name(policy: Policy | None) -> str | None:
    return None if policy is None else policy.name


def _assigned_name(row: SlaRow) -> str | None:
    assigned = None if row.sla is None else sla.of_values(row.sla).assigned
    return None if assigned is None else assigned.policy


def follow(tx: Tx, changed: Sequence[Recorded[Any]]) -> None:
    """Tickets moved, were reopened, put on hold, resumed: so do their clocks."""
    rows = store.rows(tx, [one.event.ticket_id for one in changed])
    facts = _replayed(tx, [ticket_id for ticket_id, row in rows.items() if row.sla is not None])
    _write(tx, facts, _marks(facts, terms_of(tx, facts.values()), tx.now))


def reassess(tx: Tx, ticket_id: int, reason: str) -> None:
    """Let a ticket's clocks run by the policy and calendar that would be chosen now. Raises Conflict without any."""
    [row] = store.rows(tx, [ticket_id]).values()
    found = policies(tx)
    chosen = choose(found, _traits(tx, [row], found)[ticket_id])
    if chosen is None and _assigned_name(row) is None:
        raise Conflict(detail=f"no SLA policy is about ticket {ticket_id}")
    _assign(tx, _replayed(tx, [ticket_id]), {ticket_id: chosen}, why="recalculated", reason=reason)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is written down of a ticket's clocks: in its row, and when the next moment is to be told of."""

    row: dict[str, Any]
    due: datetime | None


@dataclass(frozen=True, slots=True)
class _News:
    """What is to be told of a ticket's clocks, and written down, as long as what was `seen` there still is."""

    seen: Mapping[str, Any]
    told: list[tuple[datetime, Event]]
    outcome: _Outcome


def tell_due(database: Database, due: Sequence[Timer]) -> Callable[[Tx, Sequence[Timer]], int]:
    """Tell of clocks that are at risk or breached, each moment once; the work does so for some of these timers.

    What there is to tell is worked out first, while nobody waits.
    """
    ahead = database.read(lambda tx: _news(tx, store.clocks_of(tx, _ids(due))))
    return lambda tx, some: _tell(tx, some, ahead)


def _news(tx: ReadTx, values_of: Mapping[int, Mapping[str, Any] | None]) -> dict[int, _News]:
    """What there is to tell now, of the tickets whose clocks run by something."""
    read = {ticket_id: sla.of_values(values) for ticket_id, values in values_of.items() if values is not None}
    facts = {ticket_id: known for ticket_id, known in read.items() if known.assigned is not None}
    marks = _marks(facts, terms_of(tx, facts.values()), tx.now)
    found: dict[int, _News] = {}
    for ticket_id, known in facts.items():
        mine = marks[ticket_id]
        moments = sla.moments(known, mine)
        passed = [moment for moment in moments if moment.at <= tx.now]
        told = [_told(ticket_id, known, moment, mine[moment.clock]) for moment in passed]
        seen = values_of[ticket_id] or {}
        values = sla.and_told(seen, [moment.key for moment in passed])
        next_at = next((moment.at for moment in moments if moment.at > tx.now), None)
        found[ticket_id] = _News(seen, told, _outcome(ticket_id, known, values, mine, next_at=next_at))
    return found


def _tell(tx: Tx, due: Sequence[Timer], ahead: Mapping[int, _News]) -> int:
    """How many timers it was done for. Whoever holds a ticket has its timer too: nobody else sets it or tells of it.

    A ticket that somebody else is changing is passed over: its timer is set anew by that change, or is due still.
    """
    held = store.hold_free(tx, _ids(due))
    news = {ticket_id: one for ticket_id, one in ahead.items() if ticket_id in held and one.seen == held[ticket_id]}
    changed = {ticket_id: values for ticket_id, values in held.items() if ticket_id not in news}
    news |= _news(tx, changed) if changed else {}
    timers.drop_many(tx, TIMER, [str(ticket_id) for ticket_id in held if ticket_id not in news])
    told = sorted((pair for one in news.values() for pair in one.told), key=lambda pair: pair[0])
    tx.emit(*(event for _, event in told), at=[at for at, _ in told])
    _put(tx, [one.outcome for one in news.values()])
    return len(held)


def _ids(due: Iterable[Timer]) -> list[int]:
    return [int(timer.subject) for timer in due]


def _marks(facts: Mapping[int, Facts], terms: Mapping[Assigned, Terms], now: datetime) -> dict[int, dict[str, Mark]]:
    return {
        ticket_id: {} if known.assigned is None else sla.marks(known, terms[known.assigned], now)
        for ticket_id, known in facts.items()
    }


def _told(ticket_id: int, known: Facts, moment: sla.Moment, clock: Mark) -> tuple[datetime, Event]:
    assigned = known.assigned
    assert assigned is not None
    kind = SlaBreached if moment.what == sla.BREACHED else SlaAtRisk
    due = clock.due_at or moment.at
    event = kind(
        ticket_id, clock=moment.clock, due_at=due, policy=assigned.policy, policy_version=assigned.policy_version
    )
    return max(moment.at, assigned.since), event  # terms can't have been broken before they held


def _assign(
    tx: Tx,
    facts: Mapping[int, Facts],
    chosen: Mapping[int, Policy | None],
    *,
    why: str,
    causes: Mapping[int, int] | None = None,
    reason: str = "",
) -> None:
    if not facts:
        return
    calendars = store.current_versions(tx, CALENDAR, {one.calendar for one in chosen.values() if one and one.calendar})
    wanted = {ticket_id: _assignment(chosen[ticket_id], calendars, tx.now) for ticket_id in facts}
    terms = terms_of(tx, [Facts(tx.now, tx.now, assigned=one) for one in wanted.values()])
    told: list[SlaAssigned] = []
    after: dict[int, Facts] = {}
    for ticket_id, known in facts.items():
        new = wanted[ticket_id]
        found = {} if new is None else sla.marks(known, terms[new], tx.now)
        event = SlaAssigned(
            ticket_id,
            policy=None if new is None else new.policy,
            policy_version=None if new is None else new.policy_version,
            calendar=None if new is None else new.calendar,
            calendar_version=None if new is None else new.calendar_version,
            why=why,
            told=sla.standing(known, found, tx.now),
            reason=reason,
        )
        told.append(event)
        after[ticket_id] = sla.step(known, Happened(tx.now, event.kind, str(tx.actor), event.data()))
    tx.emit(*told, causes=None if causes is None else [causes[event.ticket_id] for event in told])
    _write(tx, after, _marks(after, terms, tx.now))


def _assignment(policy: Policy | None, calendars: Mapping[str, int], now: datetime) -> Assigned | None:
    if policy is None:
        return None
    version = None if policy.calendar is None else calendars[policy.calendar]
    return Assigned(policy.name, policy.version, policy.calendar, version, now)


def _write(tx: Tx, facts: Mapping[int, Facts], marks: Mapping[int, Mapping[str, Mark]]) -> None:
    """Write down facts and what follows from them, and set the timers anew."""
    outcomes = list[_Outcome]()
    for ticket_id, known in facts.items():
        next_at = next((moment.at for moment in sla.moments(known, marks[ticket_id])), None)
        outcomes.append(_outcome(ticket_id, known, sla.as_values(known), marks[ticket_id], next_at=next_at))
    _put(tx, outcomes)


def _outcome(
    ticket_id: int, known: Facts, values: Mapping[str, Any], marks: Mapping[str, Mark], *, next_at: datetime | None
) -> _Outcome:
    state, (due_at_, at_risk_at) = sla.loudest(marks), sla.next_due(marks)
    row = {
        "of_id": ticket_id,
        "of_sla": values,
        "of_state": None if state is None else state.value,
        "of_due_at": due_at_,
        "of_at_risk_at": at_risk_at,
        "of_acknowledge_due_at": sla.reported_due(marks.get(sla.ACKNOWLEDGE)),
        "of_resolve_due_at": sla.reported_due(marks.get(sla.RESOLVE)),
        "of_calendar": None if known.assigned is None else known.assigned.calendar_key,
    }
    return _Outcome(row, next_at)


def _put(tx: Tx, outcomes: Sequence[_Outcome]) -> None:
    store.write(tx, [one.row for one in outcomes])
    due = {str(one.row["of_id"]): one.due for one in outcomes}
    timers.drop_many(tx, TIMER, [subject for subject, at in due.items() if at is None])
    timers.put_many(tx, TIMER, {subject: at for subject, at in due.items() if at is not None}, version=1)


def _replayed(tx: ReadTx, ids: Collection[int]) -> dict[int, Facts]:
    return {ticket_id: sla.replay(happened) for ticket_id, happened in store.happened(tx, ids).items()}


def _traits(tx: ReadTx, rows: Iterable[SlaRow], found: Sequence[Policy]) -> dict[int, Traits]:
    """What policies look at in these tickets; labels and teams only if a policy asks for some."""
    rows = list(rows)
    labels: dict[str, Mapping[str, str]] = {}
    if any(policy.labels for policy in found):
        names = {row.opened_by.removeprefix(_RULE) for row in rows if row.opened_by.startswith(_RULE)}
        rules = {name: rule_store.get(tx, name) for name in sorted(names)}
        labels = {_RULE + name: dict(row.rule.labels) for name, row in rules.items() if row is not None}
    teams: Mapping[str, str | None] = {}
    if any(policy.teams for policy in found):
        declared = declaration_store.names(tx, {fold(row.service or "") for row in rows})
        teams = {key: one.team for key, one in declared.items()}
    return {
        row.id: Traits(
            Priority(row.priority), row.service, teams.get(fold(row.service or "")), labels.get(row.opened_by)
        )
        for row in rows
    }


# What there is to see.


def terms_of(tx: ReadTx, facts: Iterable[Facts]) -> dict[Assigned, Terms]:
    """What the versions say that these clocks run by."""
    wanted = {one.assigned for one in facts if one.assigned is not None}
    if not wanted:
        return {}
    said = store.definitions(tx, POLICY, {(one.policy, one.policy_version) for one in wanted})
    dated = {(one.calendar, one.calendar_version) for one in wanted if one.calendar and one.calendar_version}
    calendars = {one: kept_calendar(values) for one, values in store.definitions(tx, CALENDAR, dated).items()}
    terms: dict[tuple[Any, ...], Terms] = {}
    found: dict[Assigned, Terms] = {}
    for one in wanted:
        key = (one.policy, one.policy_version, one.calendar, one.calendar_version)
        if key not in terms:
            calendar = ALWAYS if one.calendar is None else calendars[one.calendar, one.calendar_version or 0]
            policy = policy_of(one.policy, one.policy_version, said[one.policy, one.policy_version])
            terms[key] = _terms(policy, calendar)
        found[one] = terms[key]
    return found


def _terms(policy: Policy, calendar: Calendar) -> Terms:
    def seconds(count: int | None) -> timedelta | None:
        return None if count is None else timedelta(seconds=count)

    return Terms(
        acknowledge=seconds(policy.acknowledge_s),
        resolve=seconds(policy.resolve_s),
        at_risk_share=policy.at_risk_share,
        at_risk_left=seconds(policy.at_risk_left_s),
        calendar=calendar,
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """A ticket's clocks as they stand at an instant, and what they run by."""

    assigned: Assigned
    state: sla.State | None
    clocks: dict[str, Clock] = field(default_factory=dict)


def standings(tx: ReadTx, tickets: Iterable[Ticket]) -> dict[int, Standing]:
    """The clocks of those of these tickets that a policy is about, as they stand now."""
    facts = {ticket.id: sla.of_values(ticket.sla) for ticket in tickets if ticket.sla is not None}
    terms = terms_of(tx, facts.values())
    found: dict[int, Standing] = {}
    for ticket_id, known in facts.items():
        if known.assigned is not None:
            clocks = sla.clocks(known, terms[known.assigned], tx.now)
            found[ticket_id] = Standing(known.assigned, sla.loudest(clocks), clocks)
    return found


def asks_for_resolution(tx: ReadTx, ticket: Ticket) -> str | None:
    """The name of a ticket's policy, if that asks for a resolution's code and note."""
    assigned = None if ticket.sla is None else sla.of_values(ticket.sla).assigned
    if assigned is None:
        return None
    one = (assigned.policy, assigned.policy_version)
    return assigned.policy if store.definitions(tx, POLICY, {one})[one].get("require_resolution") else None
