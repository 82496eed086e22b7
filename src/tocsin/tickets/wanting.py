"""What wants a ticket: an alert that has opened, or one that is suppressed no longer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tocsin.alerts import rule_store
from tocsin.alerts import store as alerts
from tocsin.alerts.absence import described
from tocsin.alerts.rules import DEFAULT_REOPEN_WINDOW_S, Kind, Rule
from tocsin.alerts.ruleset import note_of
from tocsin.alerts.store import Alert
from tocsin.alerts.suppression import STORM, has_no_ticket, parts
from tocsin.kit.events import AlertOpened, AlertReleased, Matched, Recorded
from tocsin.kit.priorities import Priority
from tocsin.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Wanting:
    """An alert without a ticket of its own, and the event that its ticket follows from.

    `released_from` is the ticket of the storm that it was gathered in until now.
    """

    alert_id: int
    event_id: int
    rule: str
    correlation_key: str
    service: str
    title: str
    description: str
    priority: int
    reopen_window_s: int
    late_s: int
    flapping: bool = False
    released_from: int | None = None


def by_opening(opened: Sequence[Recorded[AlertOpened]]) -> list[Wanting]:
    """The alerts that have just opened, but for those that a silence hides."""
    return [_opened(one) for one in opened if not has_no_ticket(one.event.suppressed_by)]


def _opened(recorded: Recorded[AlertOpened]) -> Wanting:
    match = recorded.event.match
    if match is None:
        raise ValueError("an AlertOpened is handed on together with its match")
    return Wanting(
        alert_id=recorded.event.alert_id,
        event_id=recorded.id,
        rule=match.rule,
        correlation_key=match.correlation_key,
        service=match.service,
        title=match.title,
        description=_with_note(
            match.note,
            described(match.rule, match.service, match.template, first_id=match.first_id, absent_s=match.absent_s)
            if match.absent_s
            else _matched(match.rule, _what(match), match.service, match.template),
        ),
        priority=int(match.priority),
        reopen_window_s=match.reopen_window_s,
        late_s=recorded.event.late_s,
        flapping=recorded.event.suppressed_by is not None,
    )


def by_release(tx: Tx, released: Sequence[Recorded[AlertReleased]]) -> list[Wanting]:
    """The alerts that were released and have no ticket of their own: hidden by a silence, or gathered by a storm."""
    events = {one.event.alert_id: one for one in released}
    found = alerts.open_alerts_by_id(tx, events.keys())
    return [
        _released(tx, alert, events[alert.id])
        for alert in found
        if alert.ticket_id is None or _storm_of(events[alert.id]) is not None
    ]


def _storm_of(recorded: Recorded[AlertReleased]) -> int | None:
    """The ticket of the storm that gathered an alert until it was released."""
    what, ticket_id = parts(recorded.event.suppressed_by)
    return ticket_id if what == STORM else None


def _released(tx: Tx, alert: Alert, recorded: Recorded[AlertReleased]) -> Wanting:
    rule = rule_store.definition(tx, alert.rule, alert.rule_version)
    return Wanting(
        alert_id=alert.id,
        event_id=recorded.id,
        rule=alert.rule,
        correlation_key=alert.correlation_key,
        service=alert.service,
        title=alert.title,
        description=_described_again(alert, rule),
        priority=alert.priority,
        reopen_window_s=DEFAULT_REOPEN_WINDOW_S if rule is None else rule.reopen_window_s,
        late_s=max(0, int((tx.now - alert.first_seen_at).total_seconds())),
        released_from=_storm_of(recorded),
    )


def _described_again(alert: Alert, rule: Rule | None) -> str:
    if rule is None:
        return _matched(alert.rule, "", alert.service, alert.template)
    if rule.kind is Kind.ABSENCE:
        absent_s = rule.window_s or 0
        text = described(alert.rule, alert.service, alert.template, first_id=alert.first_record_id, absent_s=absent_s)
        return _with_note(note_of(rule), text)
    return _with_note(note_of(rule), _matched(alert.rule, _what(rule), alert.service, alert.template))


def _what(needed: Matched | Rule) -> str:
    """What a rule needs beside records that meet its condition."""
    what = f"{needed.threshold} times within {needed.window_s} s " if needed.threshold else ""
    if needed.ratio_ppm:
        what = f"{needed.ratio_ppm / 10_000:g} % of the records within {needed.window_s} s "
    if needed.for_s:
        what += f"for {needed.for_s} s " if needed.window_s else f"for {needed.for_s} s on end "
    return what


def _matched(rule: str, what: str, service: str, template: str) -> str:
    return f"Rule {rule} matched {what}in {service}: {template or '(empty message)'}"


def _with_note(note: str, text: str) -> str:
    return f"{text}\n\n{note}" if note else text


def most_urgent(wanting: Iterable[Wanting]) -> Priority:
    """The priority of a ticket that all of these go to."""
    return Priority(min(one.priority for one in wanting))
