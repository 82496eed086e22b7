"""Which deliveries go now: claimed with a lease, within the limits of their channels, in one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from tocsin.notify import channel_store, pacing
from tocsin.notify import sending_store as store
from tocsin.notify.backoff import Failure, next_try_at
from tocsin.notify.breaker import FAILS_OVER_AFTER_S, Gate, probing
from tocsin.notify.bundling import Due, arrange
from tocsin.notify.channel_store import ChannelRow, StateRow
from tocsin.notify.channels.channel import Channel
from tocsin.notify.definitions import Definition
from tocsin.notify.delivery_store import Delivery, Outcome, State
from tocsin.notify.jobs import Job
from tocsin.notify.leaving import leave, next_of
from tocsin.notify.message import Kind
from tocsin.notify.rendering import EventFacts, TicketFacts, WantedFacts
from tocsin.notify.ways import Method
from tocsin.storage.dialects import Dialect
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import store as tickets
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status

LEASE_SLACK_S: Final = 10.0  # beyond the time that sending may take: until its answer is written down
SLICE: Final = 200  # rows that are moved or given up in one transaction
_LOST: Final = "the worker ended before an answer was written down; whether it was taken is not known"
_UNKNOWN: Final = "there is no such contact method, or it can't be used"
# Ids of contact methods in, methods out; one that is missing can't be used.
MethodBook = Callable[[ReadTx, Collection[int]], Mapping[int, Method]]


def no_methods(_tx: ReadTx, _ids: Collection[int]) -> Mapping[int, Method]:
    """For an installation without people."""
    return {}


@dataclass(frozen=True, slots=True)
class Claimed:
    """Jobs over a channel. `shut`: it takes no more now; `more`: there was more to move than one transaction takes."""

    jobs: Sequence[Job] = ()
    shut: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Claiming:
    """What claiming needs to know besides the rows."""

    dialect: Dialect
    channels: Mapping[str, Channel]
    methods: MethodBook = no_methods
    patience: float = 1.0

    def place(self, tx: Tx) -> set[str]:
        """Find the channel of each person's method that is due; these channels."""
        waiting = store.unplaced(tx, self.dialect, limit=SLICE)
        methods = self.methods(tx, [one.method_id for one in waiting if one.method_id is not None]) if waiting else {}
        found = [(one, methods.get(one.method_id or 0)) for one in waiting]
        store.set_many(tx, [{"id": one.id, "channel": method.channel} for one, method in found if method is not None])
        lost = [one for one, method in found if method is None]
        leave(tx, lost, None, why=_UNKNOWN)
        return {method.channel for _, method in found if method is not None}

    def claim(self, tx: Tx, channel: str, room: int) -> Claimed:
        """Up to `room` jobs over a channel; none while another worker claims there. What is too old, or has no channel
        any more, goes its next way or is given up."""
        row = channel_store.get(tx, channel)
        if row is None:
            gone = [*store.claimable(tx, self.dialect, channel, limit=SLICE)]
            gone += store.claimable(tx, self.dialect, channel, limit=SLICE, tests=True)
            default = next(iter(channel_store.defaults(tx)), None)
            leave(tx, gone, default, why=f"there is no channel {channel}")
            return Claimed(more=len(gone) >= SLICE)
        state = self._hold(tx, channel)
        if state is None:
            return Claimed()
        jobs = self._jobs(tx, row, store.claimable(tx, self.dialect, channel, limit=room, tests=True), {})
        old = store.overdue(tx, self.dialect, channel, limit=SLICE, patience=self.patience)
        leave(tx, old, row.definition.fallback, why="it is too old")
        if not row.definition.enabled:
            off = store.claimable(tx, self.dialect, channel, limit=SLICE)
            leave(tx, off, row.definition.fallback, why=_switched_off(row))
            return Claimed(jobs, more=len(off) == SLICE)
        if self._shut(tx, row, state):
            return Claimed(jobs, shut=True, more=len(old) == SLICE)
        found = self._claim_open(tx, row, state, room - len(jobs))
        return Claimed([*jobs, *(found or ())], shut=found is None, more=len(old) == SLICE)

    def _hold(self, tx: Tx, channel: str) -> StateRow | None:
        """The state of a channel, which is made with its first message; None while another worker has it."""
        state = channel_store.hold_state(tx, channel, self.dialect)
        if state is None and not channel_store.states(tx, [channel]):
            channel_store.ensure_state(tx, channel)
            state = channel_store.hold_state(tx, channel, self.dialect)
        return state

    def _shut(self, tx: Tx, row: ChannelRow, state: StateRow) -> bool:
        """Whether nothing goes there now. Once that lasts, what has another way takes it."""
        held = state.is_held(tx.now)
        shut = held or state.breaker.gate(tx.now) is Gate.OPEN
        lasts = state.breaker.fails_over(tx.now) or (
            held and state.held_until is not None and state.held_until - tx.now > timedelta(seconds=FAILS_OVER_AFTER_S)
        )
        if shut and lasts:
            waiting = store.claimable(tx, self.dialect, row.definition.name, limit=SLICE)
            moving = [one for one in waiting if next_of(one, row.definition.fallback) is not None]
            leave(
                tx, moving, row.definition.fallback, why=f"{row.definition.name} can't be reached: {state.error or ''}"
            )
        return shut

    def _claim_open(self, tx: Tx, row: ChannelRow, state: StateRow, room: int) -> list[Job] | None:
        """Jobs; None when its limits allow none."""
        channel = row.definition
        flying = store.in_flight(tx, channel.name)
        room = min(room, channel.concurrency - len(flying))
        probe = state.breaker.gate(tx.now) is Gate.HALF_OPEN
        if probe:
            room = min(room, 1)
        bucket = state.bucket
        if channel.per_minute is not None:
            bucket = pacing.filled(bucket, tx.now, per_minute=channel.per_minute)
            room = min(room, int(bucket.tokens))
        if room <= 0:
            return None
        busy = {(one.ticket_id, one.method_id) for one in flying}
        due = self._wanted_still(tx, row, self._due(tx, channel.name, room, busy))
        jobs = self._send(tx, row, due, busy, room=room, probe=probe)
        breaker = state.breaker
        if probe and jobs:
            breaker = probing(breaker, tx.now, for_s=channel.timeout_s + LEASE_SLACK_S)
        after = replace(state, breaker=breaker, bucket=pacing.taken(bucket, len(jobs) if channel.per_minute else 0))
        if after != state:
            channel_store.set_state(tx, after)
        return jobs

    def _due(self, tx: Tx, channel: str, room: int, busy: Collection[tuple[int | None, int | None]]) -> list[Delivery]:
        tickets_ = {ticket for ticket, method in busy if ticket is not None and method is None}
        return store.claimable(tx, self.dialect, channel, limit=4 * room + 8, busy_tickets=tickets_)

    def _wanted_still(self, tx: Tx, row: ChannelRow, due: Sequence[Delivery]) -> list[Delivery]:
        """Without those that were called off, whose ticket was acknowledged, whose contact method is gone, or that a
        worker which ended had tried for the last time."""
        found = tickets.get_many(tx, {one.ticket_id for one in due if one.ticket_id is not None})
        over = [
            one
            for one in due
            if one.unwanted_at is not None
            or (one.unless_acknowledged and one.ticket_id is not None and _is_taken(found.get(one.ticket_id)))
        ]
        _keep_lost(tx, [one for one in over if one.lease is not None])
        ended = {"state": State.CANCELLED.value, "ended_at": tx.now, "lease": None}
        store.set_many(tx, [{"id": one.id, "answer": _why_over(one), **ended} for one in over])
        spent = [one for one in due if one.lease is not None and one not in over and _is_spent(one, row, tx.now)]
        _keep_lost(tx, spent)
        leave(tx, spent, row.definition.fallback, why=_LOST)
        by = {one.method_id for one in due if one.method_id is not None}
        known = self.methods(tx, by) if by else {}
        lost = [one for one in due if one.method_id is not None and one.method_id not in known]
        leave(tx, [one for one in lost if one not in over and one not in spent], row.definition.fallback, why=_UNKNOWN)
        left = {one.id for one in (*over, *spent, *lost)}
        return [one for one in due if one.id not in left]

    def _send(
        self,
        tx: Tx,
        row: ChannelRow,
        due: Sequence[Delivery],
        busy: Collection[tuple[int | None, int | None]],
        *,
        room: int,
        probe: bool,
    ) -> list[Job]:
        channel = row.definition
        about = {one.ticket_id for one in due if one.ticket_id is not None}
        updates = store.waiting_updates(tx, self.dialect, channel.name, about)
        arranged = arrange(
            [_due_of(one) for one in due],
            [_due_of(one) for one in updates],
            now=tx.now,
            bundle_s=channel.bundle_s,
            kinds=None if channel.kinds is None else {Kind(kind) for kind in channel.kinds},
            busy=busy,
            room=room,
        )
        over: dict[str, Any] = {"ended_at": tx.now, "lease": None}
        bundled = [(one, into) for into, others in arranged.send.items() for one in others]
        store.set_many(tx, [{"id": one, "state": "bundled", "bundled_into": into, **over} for one, into in bundled])
        why = f"{channel.name} takes no messages of this kind"
        store.set_many(tx, [{"id": one, "state": "left_out", "answer": why, **over} for one in arranged.left_out])
        store.set_many(tx, [{"id": one, "due_at": at} for one, at in arranged.later.items()])
        rows = {one.id: one for one in (*updates, *due)}
        along = {into: len(others) for into, others in arranged.send.items()}
        return self._jobs(tx, row, [rows[one] for one in arranged.send], along, probe=probe)

    def _jobs(
        self, tx: Tx, row: ChannelRow, chosen: Sequence[Delivery], along: Mapping[int, int], *, probe: bool = False
    ) -> list[Job]:
        """Lease these rows, and say all that sending them needs."""
        if not chosen:
            return []
        channel = row.definition
        _keep_lost(tx, [one for one in chosen if one.lease is not None])
        until = tx.now + timedelta(seconds=channel.timeout_s + LEASE_SLACK_S)
        lease = uuid4().hex
        chosen = [replace(one, bundled=one.bundled + along.get(one.id, 0)) for one in chosen]
        store.set_many(
            tx,
            [
                {
                    "id": one.id,
                    "lease": lease,
                    "leased_at": tx.now,
                    "due_at": until,
                    "attempts": one.attempts + 1,
                    "tried": one.tried + 1,
                    "bundled": one.bundled,
                }
                for one in chosen
            ],
        )
        found = _Facts.of(tx, channel.name, chosen, self.methods)
        return [
            Job(
                delivery_id=one.id,
                lease=lease,
                n=one.attempts + 1,
                channel=channel.name,
                channel_kind=channel.kind,
                method_id=one.method_id,
                config=found.config(one, channel.config),
                ticket=found.ticket(one),
                wanted=found.wanted(one, channel),
                timeout_s=channel.timeout_s,
                probe=probe,
            )
            for one in chosen
        ]


def _switched_off(row: ChannelRow) -> str:
    return f"{row.definition.name} is switched off" + (f": {row.disabled_reason}" if row.disabled_reason else "")


def _is_taken(ticket: Ticket | None) -> bool:
    return ticket is None or ticket.acknowledged_at is not None or ticket.status is not Status.OPEN


def _why_over(delivery: Delivery) -> str | None:
    return "the ticket was acknowledged before" if delivery.unwanted_at is None else delivery.answer


def _is_spent(delivery: Delivery, row: ChannelRow, now: datetime) -> bool:
    """Whether its last try is over: a message that ends every worker that sends it must not go round for ever."""
    return (
        next_try_at(
            delivery.kind,
            delivery.tried,
            Failure(),
            now=now,
            give_up_at=delivery.give_up_at,
            has_next_way=next_of(delivery, row.definition.fallback) is not None,
            chance=0.0,
        )
        is None
    )


def _keep_lost(tx: Tx, lapsed: Sequence[Delivery]) -> None:
    store.add_attempts(
        tx,
        [
            {
                "delivery_id": one.id,
                "n": one.attempts,
                "at": one.leased_at or tx.now,
                "channel": one.channel,
                "method_id": one.method_id,
                "outcome": Outcome.LOST.value,
                "answer": _LOST,
                "took_ms": None,
            }
            for one in lapsed
        ],
    )


def _due_of(one: Delivery) -> Due:
    return Due(one.id, one.kind, one.ticket_id, one.method_id, one.created_at, one.urgent, one.tried > 0)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What messages say, looked up for many at once."""

    tickets: Mapping[int, Ticket]
    events: Mapping[int, store.EventRow]
    methods: Mapping[int, Method]
    before: Mapping[tuple[int, int | None], str | None]

    @classmethod
    def of(cls, tx: Tx, channel: str, chosen: Sequence[Delivery], methods: MethodBook) -> "_Facts":
        about = {one.ticket_id for one in chosen if one.ticket_id is not None}
        by = {one.method_id for one in chosen if one.method_id is not None}
        return cls(
            tickets.get_many(tx, about),
            store.events_of(tx, {one.event_id for one in chosen if one.event_id is not None}),
            methods(tx, by) if by else {},
            store.said_before(tx, channel, about),
        )

    def config(self, one: Delivery, of_channel: Mapping[str, Any]) -> Mapping[str, Any]:
        method = self.methods.get(one.method_id or 0)
        return of_channel if method is None else method.config(of_channel)

    def ticket(self, one: Delivery) -> TicketFacts | None:
        found = self.tickets.get(one.ticket_id or 0)
        if found is None:
            return None
        names = ("id", "title", "description", "priority", "service", "assignee", "team", "opened_at", "opened_by")
        values = {name: getattr(found, name) for name in (*names, "acknowledged_at", "resolved_at")}
        return TicketFacts(status=found.status.value, **values)

    def wanted(self, one: Delivery, channel: Definition) -> WantedFacts:
        event = self.events.get(one.event_id or 0)
        thread = (one.ticket_id or 0, one.method_id)
        return WantedFacts(
            message_id=one.message_id,
            kind=one.kind,
            delivery_id=one.id,
            channel=channel.name,
            channel_kind=channel.kind,
            template=channel.template,
            person=one.person,
            event=None if event is None else EventFacts(event.kind, event.actor, event.at, event.data),
            why=one.why,
            facts=one.facts,
            bundled=one.bundled,
            first_of_thread=thread not in self.before,
            earlier=self.before.get(thread),
            created_at=one.created_at,
        )
