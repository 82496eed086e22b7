"""Use cases of what names what: a policy is saved if all whom it calls are there; what is named is not removed.

Whoever saves routes, policies or rules, or removes what they name, takes the lock of `item_store` first: nothing is
named and removed at the same moment. Then come the locks of people, channels and calendars, in this order.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from tocsin.kit.errors import InUse
from tocsin.notify import channel_service, channel_store, paging, routing, template_service
from tocsin.notify.channel_store import ChannelRow
from tocsin.notify.reference_store import NAMES
from tocsin.notify.template_store import TemplateRow
from tocsin.oncall import (
    escalation,
    escalation_service,
    item_service,
    item_store,
    people_service,
    people_store,
    reference_service,
    references,
    schedule_service,
)
from tocsin.oncall.item_service import ESCALATION_POLICY, NOTIFICATION_RULES, ROUTE
from tocsin.oncall.item_store import Item
from tocsin.oncall.people import Team, User
from tocsin.oncall.references import Namer, Reference, Referred
from tocsin.oncall.schedule_store import ScheduleRow
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import sla_service, sla_store
from tocsin.tickets.sla_store import Item as SlaItem

Namers = Callable[[ReadTx], list[Namer]]


def check(tx: ReadTx, named: Iterable[Reference]) -> None:
    """Raises Invalid with each reference that leads to nothing."""
    reference_service.check(tx, named, NAMES)


def save_policy(
    tx: Tx, name: str, definition: Mapping[str, Any], *, seen_version: int | None = None
) -> tuple[Item, bool]:
    """Make or replace an escalation policy, and whether it is new. Raises Invalid, PreconditionFailed."""
    item_store.lock(tx)
    check(tx, escalation.policy_of(name, 0, definition).references())
    return escalation_service.save_policy(tx, name, definition, seen_version=seen_version)


# Who names what.


def _routes(tx: ReadTx) -> list[Namer]:
    return [
        Namer("route", item.name, routing.route_of(item.name, item.definition).references())
        for item in item_store.in_order(tx, ROUTE.name)
    ]


def _rules(tx: ReadTx) -> list[Namer]:
    return [
        Namer("notification rules of", item.name, paging.references_of(paging.rules_of(item.definition)))
        for item in item_store.in_order(tx, NOTIFICATION_RULES.name)
    ]


def _channels(tx: ReadTx) -> list[Namer]:
    rows = [row.definition for row in channel_store.page(tx, after="", limit=None)]
    return [Namer(Referred.CHANNEL, one.name, one.references()) for one in rows]


_NAMERS: Final[Mapping[Referred, tuple[Namers, ...]]] = {
    Referred.CHANNEL: (_routes, reference_service.policies, _channels),
    Referred.SCHEDULE: (_routes, reference_service.policies),
    Referred.ESCALATION_POLICY: (_routes,),
    Referred.TEAM: (_routes, reference_service.policies),
    Referred.USER: (reference_service.policies, reference_service.schedules),
    Referred.CALENDAR: (_routes, _rules),
    Referred.TEMPLATE: (_channels,),
}


def _release(tx: Tx, kind: Referred, name: str, *, force: bool) -> None:
    """Let go of what is going to be removed. Raises InUse unless nothing names it, or `force`."""
    found = [] if force else [one for namers in _NAMERS[kind] for one in references.naming(kind, name, namers(tx))]
    if found:
        raise InUse(kind.value, name, [(one.kind, one.name) for one in found])


# Removing. Each raises NotFound, PreconditionFailed, InUse. By force it goes all the same: what names it goes on
# without it, as it does when a channel is switched off or nobody is on call.


def remove_channel(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> ChannelRow:
    """Remove a channel. What waits for it, or is still sent there, goes to a default channel."""
    item_store.lock(tx)
    channel_store.next_version(tx)
    channel_service.get(tx, name)
    _release(tx, Referred.CHANNEL, name, force=force)
    return channel_service.remove(tx, name, seen_version=seen_version)


def remove_template(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> TemplateRow:
    """Remove a template. By force, channels that name it say what they have to say by the default one."""
    channel_store.next_version(tx)
    template_service.get(tx, name)
    _release(tx, Referred.TEMPLATE, name, force=force)
    return template_service.remove(tx, name, seen_version=seen_version)


def remove_policy(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> Item:
    """Take an escalation policy out of force. Runs of it go on to their end."""
    item_store.lock(tx)
    item_service.get(tx, ESCALATION_POLICY, name)
    _release(tx, Referred.ESCALATION_POLICY, name, force=force)
    return item_service.remove(tx, ESCALATION_POLICY, name, seen_version=seen_version)


def remove_schedule(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> ScheduleRow:
    """Take a schedule out of force; its past stays."""
    item_store.lock(tx)
    schedule_service.get(tx, name)
    _release(tx, Referred.SCHEDULE, name, force=force)
    return schedule_service.remove(tx, name, seen_version=seen_version)


def remove_user(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> User:
    """Remove a user, with all addresses and out of all teams; also by force somebody who is on call."""
    item_store.lock(tx)
    people_store.lock(tx)
    people_service.get(tx, name)
    _release(tx, Referred.USER, name, force=force)
    return people_service.remove(tx, name, seen_version=seen_version)


def remove_team(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> Team:
    """Remove a team; its people stay."""
    item_store.lock(tx)
    people_service.get_team(tx, name)
    _release(tx, Referred.TEAM, name, force=force)
    return people_service.remove_team(tx, name, seen_version=seen_version)


def remove_calendar(tx: Tx, name: str, *, seen_version: int | None = None, force: bool = False) -> SlaItem:
    """Remove a calendar. Also by force none that an SLA policy goes by (Conflict): its clocks could not run on."""
    item_store.lock(tx)
    sla_service.get(tx, sla_store.CALENDAR, name)
    _release(tx, Referred.CALENDAR, name, force=force)
    return sla_service.remove(tx, sla_store.CALENDAR, name, seen_version=seen_version)
