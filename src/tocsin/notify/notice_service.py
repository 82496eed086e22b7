"""What people hear of Tocsin itself: a gap in a schedule, a channel that is off; and codes that verify a method."""

from collections.abc import Sequence
from functools import partial
from typing import Any

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

Told = ChannelDisabled | ScheduleGapFound | DrillMissed | RuleBroken


def notice(tx: Tx, batch: Sequence[Recorded[Any]], callers: Callers) -> None:
    """Whoever routes name for notices hears of each; a channel that was disabled does not hear of that."""
    for one in batch:
        if not attempted(tx, partial(_tell, tx, one, callers), part="the routes"):
            attempted(tx, partial(callers.plan, tx, [_wanted(one, CONSOLE, None)]), part="the console")


def _tell(tx: Tx, one: Recorded[Told], callers: Callers) -> None:
    found = route_service.book_of(tx).decide(Facts({}), Kind.NOTICE, tx.now)
    spared = one.event.name if isinstance(one.event, ChannelDisabled) else None
    channels = {channel: route for channel, route in found.channels.items() if channel != spared}
    callers.plan(tx, [_wanted(one, channel, route) for channel, route in channels.items()])


def _wanted(one: Recorded[Told], channel: str, route: str | None) -> Wanted:
    title, text = _said(one.event)
    facts = {"title": title, "text": text}
    key = f"event:{one.id}:{channel}"
    return Wanted(key, Kind.NOTICE, one.id, None, channel=channel, why={"route": route or "default"}, facts=facts)


def _said(event: Told) -> tuple[str, str]:
    """A title and a text."""
    match event:
        case ChannelDisabled():
            text = f"The other side wants no more messages: {event.reason}"
            return f"Channel {event.name} was disabled", text
        case ScheduleGapFound():
            text = f"From {iso(event.start)} to {iso(event.end)} nobody is on call by schedule {event.name}."
            return f"Nobody is on call: {event.name}", text
        case RuleBroken():
            return f"Rule {event.name} is broken", f"Its records wait until it works again: {event.reason}"
        case DrillMissed():
            text = f"The drill of {event.service} came as far as: {event.step}. A page may not arrive."
            return f"A drill was missed: {event.service}", text


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
