"""What goes in and out of a back-test over HTTP."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, Field, StringConstraints

from tocsin.alerts.rules import DEFINED, Kind, Rule
from tocsin.kit.clock import from_us
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.kit.zones import zone_of
from tocsin.logs.record import Record
from tocsin.proof.backtest import Found, Wish
from tocsin.proof.comparing import RealAlert
from tocsin.proof.outcome import Episode, Outcome
from tocsin.tickets.storming import StormLimits
from tocsin.web.log_schemas import ScannedOut
from tocsin.web.rule_schemas import MAX_CONDITION_CHARS, RuleDefinitionIn, rule_values
from tocsin.web.schemas import InstantIn, LogOut, Out, Word, before, no_nul

DEFAULT_SPAN: Final = timedelta(days=7)
DRAFT: Final = "draft"
_OF_KIND: Final = ("threshold", "window_s", "ratio", "minimum", "learn_s")
_WITHOUT_FOR: Final = frozenset({Kind.ABSENCE, Kind.NEW_PATTERN})
_GROUPED_AS_ITS_KIND: Final = frozenset({Kind.RATIO, Kind.ABSENCE, Kind.NEW_PATTERN})


class BacktestIn(RuleDefinitionIn):
    """A rule that is not saved: all of it, or the `name` of one that is, with what shall be different."""

    condition: Annotated[str, StringConstraints(max_length=MAX_CONDITION_CHARS), AfterValidator(no_nul)] | None = Field(  # type: ignore[assignment]  # a changed rule may keep its own
        None, description="Which records it is about. Only a rule of that `name` has one already."
    )
    name: Word = Field(
        DRAFT,
        description="Of a rule whose fields hold where they are not given here, and with which the outcome is compared;"
        " or any other.",
        examples=["payments-errors"],
    )
    since: InstantIn | None = Field(None, description="Arrived since; 7 days ago by default.", examples=["-7d"])
    until: InstantIn | None = Field(None, description="Arrived before that; now by default.")
    time_zone: Word = Field("UTC", description="Whose hours and days.", examples=["Europe/Berlin"])
    examples: int = Field(5, ge=0, le=100, description="How many alerts and groups are shown.")
    silences: bool = Field(True, description="Whether silences that there were hide what they hid.")
    within_s: float = Field(30.0, gt=0, le=600, description="Answer after so many seconds with what is known by then.")

    def wish(self, base: Rule | None, now: datetime, limits: StormLimits) -> Wish:
        """What is to be tried, on a rule that is there or on none. Raises Invalid."""
        since = _instant(self.since, now, now - DEFAULT_SPAN)
        until = min(_instant(self.until, now, now), now)
        if since >= until:
            detail = "is not before `until`"
            raise Invalid(f"since {detail}", errors=(FieldError("/since", detail),))
        rule = self._rule(base)
        changed = [] if base is None else [name for name in DEFINED if getattr(rule, name) != getattr(base, name)]
        return Wish(rule, since, until, _zone(self.time_zone), self.examples, sorted(changed), limits)

    def _rule(self, base: Rule | None) -> Rule:
        values = rule_values(self)
        if base is None:
            if self.condition is None:
                detail = f"is missing, and there is no rule {self.name!r} that has one"
                raise Invalid(f"condition {detail}", errors=(FieldError("/condition", detail),))
            return Rule(name=self.name, version=0, **values)
        said = self.model_fields_set & values.keys()
        changed = {field: values[field] for field in said}
        kind = changed.get("kind", base.kind)
        if kind is not base.kind:  # what only the other kind has
            changed = {**dict.fromkeys(_OF_KIND), "of": "*", **changed}
            if kind in _WITHOUT_FOR:
                changed.setdefault("for_s", None)
            own = "group_by" in said or kind in _GROUPED_AS_ITS_KIND
            changed["group_by"] = values["group_by"] if own else base.group_by
        return replace(base, **changed)


def _instant(given: datetime | timedelta | None, now: datetime, default: datetime) -> datetime:
    if given is None:
        return default
    return given if isinstance(given, datetime) else before(now, given)


def _zone(name: str) -> tzinfo:
    found = zone_of(name)
    if found is None:
        detail = f"{name[:60]!r} is no time zone known here; expected a name such as Europe/Berlin"
        raise Invalid(f"time_zone: {detail}", errors=(FieldError("/time_zone", detail),))
    return found


class BacktestRecordsOut(Out):
    """Records that meet the condition: `pending` ones stayed below what fires, `in_alerts` opened one or were counted
    on it, `hidden` ones are silenced, of `backfill` ones nothing follows. `late` ones were late for their window."""

    matched: int
    in_alerts: int
    pending: int
    hidden: int
    backfill: int
    late: int


class BacktestAlertsOut(Out):
    """`quieted` ended by themselves, `resolved` when people really resolved the ticket of their like, `unheard` when
    the silence that hid them was over, `going_on` not by the end; `flapping` ones opened and ended too often and called
    nobody for that."""

    opened: int
    quieted: int
    resolved: int
    unheard: int
    going_on: int
    flapping: int


class BacktestTicketsOut(Out):
    """`recurrences` are those of the opened ones that follow an earlier one which could no longer be reopened; `joined`
    are alerts that came to an open ticket, `storms` are tickets that gathered what would have been too many. `raised`
    ones became more urgent as their alerts grew; `by_priority` are all by what they were at the end."""

    opened: int
    reopened: int
    recurrences: int
    joined: int
    storms: int
    raised: int
    by_priority: dict[str, int] = Field(examples=[{"P1": 1, "P3": 4}])


class BacktestSilenceOut(Out):
    """A silence there was, and what it kept from people: `records` and the `alerts` they are of; `tickets` and `pages`
    are those that would have begun with such a record, had it hidden nothing. Some of these may have come later, when
    it was over."""

    silence: str = Field(examples=["silence:3"])
    what: str = Field(description="Its owner and reason.")
    records: int
    alerts: int
    tickets: int
    pages: int


class BacktestUnsilencedOut(Out):
    """What there would have been without any silence."""

    alerts: int
    tickets: int
    pages: int


class BacktestDayOut(Out):
    day: date
    alerts: int
    pages: int


class BacktestGroupOut(Out):
    """A group of the rule."""

    fingerprint: str
    template: str
    service: str
    records: int
    alerts: int
    pages: int


class BacktestPendingOut(Out):
    """A window that is neither empty nor full at the end: `hits` of `total` records."""

    template: str
    service: str
    hits: int
    total: int


class BacktestAlertOut(Out):
    """An alert there would have been. `how` it came to its `ticket` (a number of this back-test): `opened`, `joined`,
    `reopened`, or `silenced` without one. `suppressed_by`: `flap`, `storm` or a silence. `record` is the first one;
    null when it is no longer stored."""

    fingerprint: str
    template: str
    service: str
    ticket: int | None
    ticket_priority: str | None = Field(description="At the end.")
    how: str
    suppressed_by: str | None
    opened_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    records: int
    first_log_id: int
    record: LogOut | None


class RealAlertOut(Out):
    """An alert there was."""

    id: int
    ticket_id: int | None
    service: str
    title: str
    opened_at: datetime
    first_log_id: int


class ReallyOut(Out):
    """What the rule of that name led to in the same time. `kept` alerts there are in both; `gone` ones there would not
    have been, `new` ones only there (of both the first are listed). Without `complete` there were more alerts, of which
    nothing is told."""

    alerts: int
    tickets_opened: int
    tickets_reopened: int
    pages: int
    kept: int
    gone: int
    gone_tickets: list[int]
    gone_alerts: list[RealAlertOut]
    new: int
    new_alerts: list[BacktestAlertOut]
    complete: bool


class BacktestOut(Out):
    """What a rule would have led to. A page is a ticket that opened or reopened: when somebody is called."""

    rule: str
    version: int = Field(description="Of the rule that was changed; 0 for one that is none yet.")
    changed: list[str] = Field(description="The fields that the rule as it is saved has otherwise.")
    definition: dict[str, Any]
    since: datetime
    until: datetime
    reached: datetime = Field(description="All that arrived before that was replayed.")
    partial: str | None = Field(description="Why that is not all: `time` or `memory` was over; else null.")
    records: BacktestRecordsOut
    alerts: BacktestAlertsOut
    tickets: BacktestTicketsOut
    pages: int
    time_zone: str
    pages_by_hour: list[int] = Field(description="24 numbers: of the hours of the day, from midnight on.")
    days: list[BacktestDayOut] = Field(description="Days with an alert or a page.")
    noisiest: list[BacktestGroupOut] = Field(description="The groups with the most alerts, then the most records.")
    examples: list[BacktestAlertOut] = Field(description="The first alert of each of those groups.")
    pending: list[BacktestPendingOut] = Field(description="Windows at the end, the fullest first.")
    pending_groups: int
    silences: list[BacktestSilenceOut] = Field(description="Those that hid something.")
    unsilenced: BacktestUnsilencedOut | None = Field(description="Null when no silence could hide anything.")
    notes: list[str] = Field(description="What was taken for granted.")
    overflowed: int = Field(description="Records of groups beyond those that are told apart; they count as one group.")
    really: ReallyOut
    scanned: ScannedOut


def backtest_out(found: Found, time_zone: str) -> BacktestOut:
    """A back-test as the API shows it."""
    outcome, wish = found.outcome, found.wish
    hidden = sum(outcome.hidden.values())
    return BacktestOut(
        rule=wish.rule.name,
        version=wish.rule.version,
        changed=list(wish.changed),
        definition=wish.rule.definition(),
        since=wish.since,
        until=wish.until,
        reached=found.reached,
        partial=found.partial,
        records=BacktestRecordsOut(
            matched=outcome.matched + found.backfilled,
            in_alerts=outcome.matched - outcome.pending - hidden,
            pending=outcome.pending,
            hidden=hidden,
            backfill=found.backfilled,
            late=outcome.late,
        ),
        alerts=BacktestAlertsOut(
            opened=outcome.alerts,
            quieted=outcome.quieted,
            resolved=outcome.resolved,
            unheard=outcome.unheard,
            going_on=outcome.alerts - outcome.quieted - outcome.resolved - outcome.unheard,
            flapping=outcome.flapping,
        ),
        tickets=BacktestTicketsOut(
            opened=outcome.opened,
            reopened=outcome.reopened,
            recurrences=outcome.recurrences,
            joined=outcome.joined,
            storms=outcome.storms,
            raised=outcome.raised,
            by_priority={Priority(n).name: count for n, count in sorted(outcome.priorities.items()) if count},
        ),
        pages=outcome.pages,
        time_zone=time_zone,
        pages_by_hour=outcome.hours,
        days=[
            BacktestDayOut(day=day, alerts=outcome.alert_days[day], pages=outcome.days[day])
            for day in sorted(outcome.alert_days.keys() | outcome.days.keys())
        ],
        noisiest=[
            BacktestGroupOut(
                fingerprint=tally.face.fingerprint,
                template=tally.face.template,
                service=tally.service,
                records=tally.n,
                alerts=tally.alerts,
                pages=tally.pages,
            )
            for tally in found.noisiest
        ],
        examples=_alerts(found.examples),
        pending=[
            BacktestPendingOut(template=one.face.template, service=one.service, hits=one.hits, total=one.total)
            for one in found.unfinished
        ],
        pending_groups=found.pending_groups,
        silences=_silences(found),
        unsilenced=_unsilenced(found.unsilenced),
        notes=found.notes,
        overflowed=outcome.overflowed,
        really=_really(found),
        scanned=ScannedOut.model_validate(found.scanned, from_attributes=True),
    )


def _silences(found: Found) -> list[BacktestSilenceOut]:
    outcome, unsilenced = found.outcome, found.unsilenced or found.outcome
    return [
        BacktestSilenceOut(
            silence=one.name,
            what=one.told,
            records=outcome.hidden[one.name],
            alerts=outcome.hidden_alerts[one.name],
            tickets=unsilenced.labelled[one.name],
            pages=unsilenced.labelled_pages[one.name],
        )
        for one in found.wish.silences or ()
        if outcome.hidden_alerts[one.name]
    ]


def _unsilenced(outcome: Outcome | None) -> BacktestUnsilencedOut | None:
    if outcome is None:
        return None
    return BacktestUnsilencedOut(alerts=outcome.alerts, tickets=outcome.opened, pages=outcome.pages)


def _alerts(found: Sequence[tuple[Episode, Record | None]]) -> list[BacktestAlertOut]:
    return [
        BacktestAlertOut(
            fingerprint=one.face.fingerprint,
            template=one.face.template,
            service=one.service,
            ticket=None if one.ticket is None else one.ticket.number,
            ticket_priority=None if one.ticket is None else Priority(one.ticket.priority).name,
            how=one.how,
            suppressed_by=one.suppressed_by,
            opened_at=from_us(one.opened_at),
            ended_at=None if one.ended_at is None else from_us(one.ended_at),
            ended_by=one.ended_by,
            records=one.n,
            first_log_id=one.first_id,
            record=None if record is None else _log(record),
        )
        for one, record in found
    ]


def _log(record: Record) -> LogOut:
    shown = {name: getattr(record, name) for name in LogOut.model_fields}
    return LogOut(**{**shown, "attributes": msgspec.json.decode(record.attributes)})


def _really(found: Found) -> ReallyOut:
    real, difference, shown = found.real, found.difference, found.wish.examples
    within = [alert for alert in real.alerts if alert.opened_at >= found.wish.since]
    return ReallyOut(
        alerts=len(within),
        tickets_opened=len(real.opened),
        tickets_reopened=len(real.reopened),
        pages=real.pages,
        kept=len(difference.kept),
        gone=len(difference.gone),
        gone_tickets=sorted(difference.gone_tickets)[: max(shown, 1) * 20],
        gone_alerts=[_real(alert) for alert in difference.gone[:shown]],
        new=len(difference.new),
        new_alerts=_alerts(found.new),
        complete=not real.more and len(found.outcome.episodes) == found.outcome.alerts,
    )


def _real(alert: RealAlert) -> RealAlertOut:
    return RealAlertOut(
        id=alert.id,
        ticket_id=alert.ticket_id,
        service=alert.service,
        title=alert.title,
        opened_at=alert.opened_at,
        first_log_id=alert.first_record_id,
    )
