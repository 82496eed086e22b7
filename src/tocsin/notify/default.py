"""The default route: channels that are marked `is_default` hear of every ticket, and of Tocsin itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.kit.events import (
    ChannelDisabled,
    Event,
    Recorded,
    SlaAtRisk,
    SlaBreached,
    TicketMoved,
    TicketOpened,
    TicketReopened,
)
from tocsin.notify import channel_store, delivery_service
from tocsin.notify.message import Kind
from tocsin.notify.wanted import Wanted
from tocsin.storage.tx import Tx
from tocsin.tickets.workflow import Status

_KINDS: Final[Mapping[type[Event], Kind]] = {
    TicketOpened: Kind.OPENED,
    TicketReopened: Kind.REOPENED,
    SlaAtRisk: Kind.SLA,
    SlaBreached: Kind.SLA,
    ChannelDisabled: Kind.NOTICE,
}
_MOVES: Final = {
    Status.IN_PROGRESS.value: Kind.ACKNOWLEDGED,
    Status.RESOLVED.value: Kind.RESOLVED,
    Status.CLOSED.value: Kind.CLOSED,
}


def kind_of(event: Event) -> Kind:
    """What a message about an event is about; an update, unless it is something of its own."""
    if isinstance(event, TicketMoved):
        return _MOVES.get(event.after, Kind.UPDATED)
    return _KINDS.get(type(event), Kind.UPDATED)


def tell(tx: Tx, recorded: Sequence[Recorded[Any]]) -> None:
    """Ask for a message to each default channel about each of these events."""
    names = channel_store.defaults(tx)
    told = _last_moves(recorded)
    delivery_service.plan(tx, [_wanted(one, name) for one in told for name in names if _concerns(one.event, name)])


def _last_moves(recorded: Sequence[Recorded[Any]]) -> list[Recorded[Any]]:
    """Without the moves on the way to another one of the same moment: a ticket that ends by itself is told of once."""
    last = {one.event.ticket_id: one.id for one in recorded if isinstance(one.event, TicketMoved)}
    return [one for one in recorded if not isinstance(one.event, TicketMoved) or last[one.event.ticket_id] == one.id]


def _concerns(event: Event, channel: str) -> bool:
    return not (isinstance(event, ChannelDisabled) and event.name == channel)


def _wanted(one: Recorded[Any], channel: str) -> Wanted:
    facts = {}
    if isinstance(one.event, ChannelDisabled):
        text = f"The other side wants no more messages: {one.event.reason}"
        facts = {"title": f"Channel {one.event.name} was disabled", "text": text}
    return Wanted(
        f"default:{one.id}:{channel}",
        kind_of(one.event),
        one.id,
        getattr(one.event, "ticket_id", None),
        channel=channel,
        why={"route": "default"},
        facts=facts,
    )
