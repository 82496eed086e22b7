"""What people hear of Tocsin itself: a gap in a schedule, a channel that is off; and codes that verify a method."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from tocsin.kit.clock import iso
from tocsin.kit.events import (
    ChannelDisabled,
    ContactMethodCodeWanted,
    DrillMissed,
    Recorded,
    RuleBroken,
    ScheduleGapFound,
)
from tocsin.notify import route_service
from tocsin.notify.callers import Callers
from tocsin.notify.message import Kind
from tocsin.notify.routing import CONSOLE, Facts
from tocsin.notify.shielding import attempted
from tocsin.notify.wanted import Wanted
from tocsin.oncall import people_store
from tocsin.storage.tx import Tx

_GAPS_SHOWN: Final = 20
Told = ChannelDisabled | ScheduleGapFound | DrillMissed | RuleBroken


def notice(tx: Tx, batch: Sequence[Recorded[Any]], callers: Callers) -> None:
    """Whoever routes name for notices hears of each; a channel that was disabled does not hear of that. All gaps that
    one look at a schedule found are one notice."""
    for some in _by_notice(batch):
        if not attempted(tx, partial(_tell, tx, some, callers), part="the routes"):
            attempted(tx, partial(callers.plan, tx, [_wanted(some, CONSOLE, None)]), part="the console")


def _by_notice(batch: Sequence[Recorded[Any]]) -> list[list[Recorded[Any]]]:
    found: dict[object, list[Recorded[Any]]] = {}
    for one in batch:
        found.setdefault(one.event.name if isinstance(one.event, ScheduleGapFound) else one.id, []).append(one)
    return list(found.values())


def _tell(tx: Tx, some: Sequence[Recorded[Told]], callers: Callers) -> None:
    found = route_service.book_of(tx).decide(Facts({}), Kind.NOTICE, tx.now)
    event = some[0].event
    spared = event.name if isinstance(event, ChannelDisabled) else None
    channels = {channel: route for channel, route in found.channels.items() if channel != spared}
    callers.plan(tx, [_wanted(some, channel, route) for channel, route in channels.items()])


def _wanted(some: Sequence[Recorded[Told]], channel: str, route: str | None) -> Wanted:
    title, text = _said([one.event for one in some])
    facts = {"title": title, "text": text}
    first = some[0].id
    key = f"event:{first}:{channel}"
    return Wanted(key, Kind.NOTICE, first, None, channel=channel, why={"route": route or "default"}, facts=facts)


def _said(events: Sequence[Told]) -> tuple[str, str]:
    """A title and a text."""
    match events[0]:
        case ChannelDisabled() as event:
            text = f"The other side wants no more messages: {event.reason}"
            return f"Channel {event.name} was disabled", text
        case ScheduleGapFound() as event:
            gaps = [one for one in events if isinstance(one, ScheduleGapFound)]
            return f"Nobody is on call: {event.name}", _gaps_said(event.name, gaps)
        case RuleBroken() as event:
            return f"Rule {event.name} is broken", f"Its records wait until it works again: {event.reason}"
        case DrillMissed() as event:
            text = f"The drill of {event.service} came as far as: {event.step}. A page may not arrive."
            return f"A drill was missed: {event.service}", text


def _gaps_said(name: str, gaps: Sequence[ScheduleGapFound]) -> str:
    spans = [f"from {iso(gap.start)} to {iso(gap.end)}" for gap in gaps]
    if len(spans) == 1:
        return f"F{spans[0][1:]} nobody is on call by schedule {name}."
    more = [f"and {len(spans) - _GAPS_SHOWN} times more"] if len(spans) > _GAPS_SHOWN else []
    return "\n".join([f"By schedule {name} nobody is on call:", *spans[:_GAPS_SHOWN], *more])


def send_codes(tx: Tx, batch: Sequence[Recorded[ContactMethodCodeWanted]], callers: Callers) -> None:
    """Ask for the delivery of each code, by the very method that it is to verify. What is kept of deliveries must not
    hold the code: it is looked up when it is written (`writing`), and dropped once it was sent."""
    for one in batch:
        if people_store.code_to_send(tx, one.event.method_id) is None:
            continue
        wanted = Wanted(
            f"code:{one.id}",
            Kind.CODE,
            one.id,
            None,
            method_id=one.event.method_id,
            person=one.event.name,
            urgent=True,
            why={"why": f"{one.event.name} asked for a code"},
            facts={"method_id": one.event.method_id},
        )
        callers.plan(tx, [wanted])
