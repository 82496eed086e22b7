"""Use case: what being paged cost people in a time, by person, service, team or rule. Drills don't count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tocsin.kit.zones import zone_of
from tocsin.notify.drilling import DRILL_TAG
from tocsin.oncall import people_store
from tocsin.proof import paging_costs as costing
from tocsin.proof import paging_store as store
from tocsin.proof.paging_costs import About, Cost, Page
from tocsin.storage.tx import ReadTx
from tocsin.tickets import store as tickets
from tocsin.tickets.store import Ticket

GROUPS: Final = ("person", "service", "team", "rule")
_RULE: Final = "rule:"


@dataclass(frozen=True, slots=True)
class PagingReport:
    """The costs of a time, in all and by group."""

    since: datetime
    until: datetime
    by: str
    total: Cost
    groups: list[Cost]


def report(tx: ReadTx, since: datetime, until: datetime, by: str) -> PagingReport:
    """What being paged cost from `since` on, before `until`."""
    found = store.pages_between(tx, since, until)
    about = _about(tx, {ticket_id for ticket_id, _, _ in found})
    zones = people_store.users(tx, {person for _, person, _ in found})
    pages = [
        Page(ticket_id, person, at, zone_of(zones[person].time_zone) or UTC if person in zones else UTC)
        for ticket_id, person, at in found
        if ticket_id in about
    ]
    return PagingReport(since, until, by, costing.cost(None, pages, about), costing.costs(pages, about, by))


def _about(tx: ReadTx, ticket_ids: set[int]) -> Mapping[int, About]:
    found = {one.id: one for one in tickets.get_many(tx, ticket_ids).values() if DRILL_TAG not in one.tags}
    ends = store.ends_of(tx, found.keys())
    return {ticket_id: _of(ticket, costing.end_of(ends[ticket_id])) for ticket_id, ticket in found.items()}


def _of(ticket: Ticket, end: str | None) -> About:
    rule = ticket.opened_by.removeprefix(_RULE) if ticket.opened_by.startswith(_RULE) else None
    return About(ticket.service, rule, ticket.team, end)
