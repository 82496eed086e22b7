"""What goes when a ticket is split, and what the new one takes over of the time before. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from tocsin.kit.errors import FieldError, Invalid
from tocsin.tickets.sla import Facts

Stretch = tuple[datetime, datetime]


def check_alerts(ticket_id: int, wanted: Sequence[int], key_of: Mapping[int, str]) -> None:
    """Raises Invalid for alerts that are not the ticket's. `key_of` are those of the wanted ones that are."""
    errors = [
        FieldError(f"/alerts/{place}", f"alert {alert_id} is not one of ticket {ticket_id}")
        for place, alert_id in enumerate(wanted)
        if alert_id not in key_of
    ]
    if errors:
        raise Invalid(errors[0].detail, errors=tuple(errors))


def check_keys(wanted: Collection[int], key_of: Mapping[int, str], *, any_left: bool) -> None:
    """Raises Invalid when alerts of one correlation key would be parted, or when no alert would be left.

    `key_of` are all alerts of the ticket that have a key of a wanted one; `any_left`: it has others. One key has one
    open ticket: further records could not tell which of two they belong to.
    """
    staying = sorted(key_of.keys() - set(wanted))
    if staying:
        going = next(alert_id for alert_id in sorted(wanted) if key_of[alert_id] == key_of[staying[0]])
        names = ", ".join(map(str, staying[:10])) + (", ..." if len(staying) > 10 else "")
        _refuse(f"alerts with one correlation key go together: with alert {going}, name {names} too")
    if not any_left:
        _refuse("all alerts of the ticket would go; at least one has to stay")


def _refuse(detail: str) -> None:
    raise Invalid(f"alerts: {detail}", errors=(FieldError("/alerts", detail),))


def opened_at(alerts: Iterable[datetime], tickets: Iterable[datetime]) -> datetime:
    """When the new ticket opened: with the first of its alerts, as soon as that had a ticket at all.

    `tickets` are when the ticket that is split opened, and those that were merged into it. An alert that a silence hid
    is older than its ticket: nobody could have acted on it then.
    """
    return max(min(alerts), min(tickets))


def taken_over(facts: Facts, opened: datetime, now: datetime) -> Facts:
    """The clocks of a ticket that opened then and has stood since where the other one stood. It is not on hold: the
    time of a hold that goes on does not count up to now."""
    holds: tuple[Stretch, ...] = facts.holds
    if facts.held_since is not None:
        holds = (*holds, (facts.held_since, now if facts.held_until is None else min(now, facts.held_until)))
    acknowledge_from = max(opened, facts.acknowledge_from)
    return Facts(
        opened_at=opened,
        acknowledge_from=acknowledge_from,
        acknowledged_at=None if facts.acknowledged_at is None else max(acknowledge_from, facts.acknowledged_at),
        cancelled_at=None if facts.cancelled_at is None else max(acknowledge_from, facts.cancelled_at),
        holds=tuple(_since(holds, opened)),
        resolved=tuple(_since(facts.resolved, opened)),
    )


def _since(stretches: Iterable[Stretch], opened: datetime) -> Iterator[Stretch]:
    for begun, ended in stretches:
        if ended > max(begun, opened):  # a clock that was set back ends what has not begun
            yield max(begun, opened), ended
