"""What being paged costs people: how often, at night, again and again, and for nothing. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final

from tocsin.kit.actors import SYSTEM
from tocsin.tickets.workflow import Status

NIGHT_FROM, NIGHT_UNTIL = 22, 7  # by the clock on the person's wall
QUICKLY: Final = timedelta(minutes=10)
# Whoever does one of these to a ticket acts on it; events of the system are no action.
ACTIONS: Final = frozenset(
    {"TicketCommented", "TicketEdited", "TicketPrioritised", "TicketHeld", "TicketHandedBack", "TicketLinked"}
)
LOOKED_AT: Final = tuple(sorted({*ACTIONS, "TicketMoved", "TicketReopened", "TicketMerged"}))


@dataclass(frozen=True, slots=True)
class Page:
    """Somebody was called about a ticket; `zone` is theirs."""

    ticket_id: int
    person: str
    at: datetime
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class About:
    """What groups the pages of a ticket, and how that ended."""

    service: str | None
    rule: str | None
    team: str | None
    end: str | None


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a ticket, as far as its end is told by it."""

    at: datetime
    kind: str
    actor: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """`nights` are those in which somebody was called, one for each person; `repeats` the calls of a person for a
    ticket after the first. Of the `tickets`, so many are `over`; of these `without_action` were acknowledged and
    resolved with nothing done, and `by_themselves` resolved without anybody."""

    key: str | None
    pages: int
    people: int
    tickets: int
    night_pages: int
    nights: int
    repeats: int
    over: int
    without_action: int
    by_themselves: int

    @property
    def share_without_action(self) -> float | None:
        """Of the tickets that are over, how many needed nobody."""
        return (self.without_action + self.by_themselves) / self.over if self.over else None


OVER, WITHOUT_ACTION, BY_ITSELF = "over", "without_action", "by_itself"


def end_of(events: Sequence[Happened]) -> str | None:
    """How a ticket ended: `by_itself`, `without_action` or otherwise `over`; None while it goes on.

    Without action: acknowledged by a person and resolved within ten minutes of that, without a comment, an edit, a
    change of priority, a hold, a link, a note on the resolution, or a reopening.
    """
    acknowledged: Happened | None = None
    resolved: Happened | None = None
    acted = False
    for event in events:
        after = event.data.get("after") if event.kind == "TicketMoved" else None
        if after == Status.IN_PROGRESS.value:
            acknowledged = event
        elif after == Status.RESOLVED.value:
            resolved = event
        elif event.kind == "TicketReopened":
            resolved, acted = None, True
        elif event.kind == "TicketMerged":
            return OVER
        elif event.kind in ACTIONS and event.actor != str(SYSTEM):
            acted = True
    if resolved is None or acknowledged is None:
        return None
    if acknowledged.actor == str(SYSTEM):
        return OVER if acted else BY_ITSELF
    quick = resolved.at - acknowledged.at <= QUICKLY
    return WITHOUT_ACTION if quick and not acted and not resolved.data.get("resolution_note") else OVER


def night_of(at: datetime, zone: tzinfo) -> date | None:
    """The night that an instant lies in, by the date it began on; None by day."""
    local = at.astimezone(zone)
    if local.hour >= NIGHT_FROM:
        return local.date()
    return local.date() - timedelta(days=1) if local.hour < NIGHT_UNTIL else None


def costs(pages: Iterable[Page], about: Mapping[int, About], by: str) -> list[Cost]:
    """The costs by `person`, `service`, `team` or `rule`, the most pages first."""
    groups: dict[str | None, list[Page]] = {}
    for page in pages:
        key = page.person if by == "person" else getattr(about[page.ticket_id], by)
        groups.setdefault(key, []).append(page)
    found = [cost(key, some, about) for key, some in groups.items()]
    return sorted(found, key=lambda one: (-one.pages, one.key or ""))


def cost(key: str | None, pages: Sequence[Page], about: Mapping[int, About]) -> Cost:
    """The costs of these pages together."""
    nights = [(page.person, night) for page in pages if (night := night_of(page.at, page.zone)) is not None]
    tickets = {page.ticket_id for page in pages}
    ends = [about[ticket_id].end for ticket_id in tickets]
    return Cost(
        key=key,
        pages=len(pages),
        people=len({page.person for page in pages}),
        tickets=len(tickets),
        night_pages=len(nights),
        nights=len(set(nights)),
        repeats=len(pages) - len({(page.person, page.ticket_id) for page in pages}),
        over=sum(end is not None for end in ends),
        without_action=ends.count(WITHOUT_ACTION),
        by_themselves=ends.count(BY_ITSELF),
    )
