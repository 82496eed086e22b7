"""What explanations look like over HTTP."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from tocsin.kit.clock import iso
from tocsin.kit.errors import FieldError, Invalid
from tocsin.web.schemas import InstantIn, LogOut, Out, Reckoned


class MissingOut(Out):
    """A part of a condition that did not hold."""

    wanted: str = Field(examples=["level:CRITICAL"])
    found: str = Field(description="What the record has there.", examples=["level is ERROR"])


class GroupOut(Out):
    """The group that the rule puts the record in."""

    fingerprint: str
    template: str = Field(
        description="The message with its variable parts masked.", examples=["connection to <*> lost after <*>"]
    )
    service: str
    pattern_id: int | None = Field(
        description="The pattern of the message, as `GET /patterns` has it; null while nothing was learned of it."
    )
    pattern: str | None = Field(description="Its template.", examples=["connection to <*> lost after <*>"])


class WindowOut(Out):
    """What the rule's window needs to fire, and what it holds now, as of its newest record; null once forgotten."""

    threshold: int | None
    ratio: float | None
    minimum: int | None
    window_s: int
    hits_now: int | None
    total_now: int | None
    note: str = Field(description="What is known of its count when the record came in.")


class VerdictOut(Out):
    """The recorded verdict that covers the record: of `n` records of one commit (of the event `event_id`)."""

    event_id: int
    rule: str
    rule_version: int
    fingerprint: str
    verdict: str = Field(
        description="`opened`, `counted`, `suppressed`, `pending`, `overflow`, `dry_run`, `backfill`, `parked`."
    )
    would: str | None = Field(description="What a dry run would have done.")
    suppressed_by: str | None = Field(description="What kept the records from people.")
    n: int
    late: int = Field(description="How many of them were late for their window.")
    first_log_id: int
    last_log_id: int
    alert_id: int | None


class AlertStateOut(Out):
    """An alert as it is now. `first_log_id` is the record it began with; of an absence the last one before it, null
    where there never was one."""

    id: int
    status: str = Field(description="`firing`, `suppressed` or `resolved`.", examples=["firing"])
    rule: str
    count: int
    first_log_id: int | None


class TicketStateOut(Out):
    """A ticket as it is now, and why the alert went there."""

    id: int
    status: str = Field(examples=["OPEN"])
    title: str
    how: str = Field(
        description="`opened`, `joined`, `gathered`, `storm`, `released`, `reopened`, `recurrence`, `split`, `merged`"
        " or `unknown`.",
        examples=["opened"],
    )
    why: str
    recurrence_of: int | None
    first_log_id: int | None = Field(
        description="The very first record: the one that the alert began with which opened the ticket."
    )


class SilencedOut(Out):
    """The silence that hid a record, or hides an alert, as it is written down now."""

    id: int
    matcher: str = Field(examples=["service:payments"])
    owner: str = Field(examples=["ana"])
    reason: str = Field(examples=["disk replacement"])
    until: datetime | None = Field(description="The end of that occurrence, or when it broke.")
    active: bool = Field(description="Whether it hides it still.")
    broken: bool = Field(description="It ended then because too much came.")


class HappeningOut(Out):
    """An event on the way."""

    id: int
    at: datetime
    kind: str = Field(examples=["AlertOpened"])
    subject: str = Field(examples=["alert:4"])
    actor: str
    cause_id: int | None
    data: dict[str, Any]


class RuleOnRecordOut(Out):
    """What a rule, in the version that judged the record, made of it."""

    rule: str
    version: int
    outcome: str = Field(
        description="`matched`, `not_matched`, `disabled`; `waiting`: the rule raised, a retry follows; `broken`: it"
        " raised and was given up.",
        examples=["matched"],
    )
    why: str
    condition: str
    missing: list[MissingOut]
    group: GroupOut | None
    window: WindowOut | None
    verdict: VerdictOut | None
    late: str | None = Field(description="Whether the record was late for its window, as far as that is known.")
    silence: SilencedOut | None
    alert: AlertStateOut | None
    ticket: TicketStateOut | None
    events: list[HappeningOut]


class CommitOut(Out):
    """The transaction that stored the record; `ruleset` is the state of all rules that it was matched with."""

    event_id: int
    at: datetime
    first_log_id: int
    last_log_id: int
    ruleset: int


class LogExplainedOut(Out):
    """Why a record did, or did not, lead to a ticket."""

    summary: str
    record: LogOut
    commit: CommitOut | None = Field(description="Null when the event of its commit is gone.")
    rules: list[RuleOnRecordOut] = Field(description="Every rule there was when the record was matched, by name.")
    events: list[HappeningOut] = Field(description="The record's commit, and retries of its matching.")


class EndingOut(Out):
    at: datetime
    how: str = Field(
        description="`resolved` with its ticket, `quiet`: by itself, `unheard`: without ever having had a ticket.",
        examples=["resolved"],
    )
    why: str


class AlertExplainedOut(Out):
    """An alert from its first record to its end."""

    summary: str
    alert: AlertStateOut
    rule_version: int
    rule: dict[str, Any] | None = Field(description="What the rule said in that version.")
    fingerprint: str
    template: str
    pattern_id: int | None = Field(description="The pattern it was opened for.")
    pattern: str | None = Field(description="The template of that pattern.")
    first_record: LogOut | None = Field(description="Null when it is no longer kept, or can't be read.")
    window_first_log_id: int | None = Field(
        description="Where the rule counts within a window: the record that began the one which the first record"
        " completed."
    )
    verdicts: dict[str, int] = Field(description="Records by verdict.", examples=[{"opened": 1, "counted": 211}])
    late: int = Field(description="How many of them were late for their window.")
    opened_at: datetime
    ended: EndingOut | None
    silence: SilencedOut | None
    ticket: TicketStateOut | None
    ticket_alerts: list[AlertStateOut] = Field(description="The newest 100 alerts of that ticket, this one among them.")
    events: list[HappeningOut]


class AlertOnTicketOut(AlertStateOut):
    """An alert as it is now, and how it came to the ticket."""

    suppressed_by: str | None = Field(description="What keeps it from people, as on alerts.")
    how: str = Field(description="As for `TicketStateOut`; `merged`: with another ticket.", examples=["joined"])
    why: str


class TicketExplainedOut(Out):
    """A ticket from the record that it began with."""

    summary: str
    id: int
    status: str = Field(examples=["OPEN"])
    title: str
    opened_by: str = Field(description="`rule:NAME`, `storm`, or who did.", examples=["rule:critical-logs"])
    opened_at: datetime
    recurrence_of: int | None
    released_from: int | None
    merged_into: int | None
    first_alert_id: int | None = Field(
        description="The alert that opened it, which may be on another ticket by now; null when a person did."
    )
    first_log_id: int | None = Field(description="The record that this alert began with.")
    window_first_log_id: int | None = Field(description="As for `AlertExplainedOut`.")
    first_record: LogOut | None = Field(description="Null when it is no longer kept, or can't be read.")
    alert_count: int
    alerts: list[AlertOnTicketOut] = Field(description="The newest 100; all: `GET /alerts?ticket_id=`.")
    events: list[HappeningOut] = Field(description="The first 200 of the ticket.")


class LedgerIn(Reckoned):
    """Which records, by arrival."""

    since: InstantIn = Field(timedelta(days=1), description="Arrived then or later.", examples=["2h"])
    until: InstantIn | None = Field(None, description="Arrived before that; now by default.", examples=["1h"])

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From when until when; no later than now. Raises Invalid."""
        wanted = self.reckoned(now)
        since, until = wanted["since"], min(wanted["until"] or now, now)
        if since >= until:
            detail = f"expected a time before until, which is {iso(until)}"
            raise Invalid(f"since: {detail}", errors=(FieldError("since", detail),))
        return since, until


class LedgerLineOut(Out):
    """A rule version within an hour: records it matches when they are matched again, and verdicts that are recorded."""

    rule: str
    version: int
    matched: int
    verdicts: dict[str, int] = Field(
        description="Records by verdict. `parked` ones were never matched and don't count towards the balance.",
        examples=[{"opened": 1, "counted": 211}],
    )


class LedgerSourceOut(Out):
    """Records of a source within an hour: `(none)` for those that name none, `(other sources)` for all but the 50 with
    most records."""

    source: str
    accepted: int | None = Field(
        description="Null when some commits of the hour are from before this was written down."
    )
    stored: int


class HourBalanceOut(Out):
    """What arrived within an hour, what of it is stored, and what its rules made of it."""

    hour: datetime
    sealed: bool = Field(
        description="The books of the hour were closed before its logs may go: these are the figures of then."
    )
    accepted: int
    rejected: int
    stored: int
    waiting: int = Field(description="Records that are still to be matched, with one rule or all.")
    expired: int = Field(description="Records that are missing because retention removed them unsealed.")
    sources: list[LedgerSourceOut]
    rules: list[LedgerLineOut]


class GapOut(Out):
    """Records of one commit that don't balance. Without a rule, `matched` were accepted and `recorded` are stored."""

    hour: datetime
    event_id: int = Field(description="The commit's event.")
    rule: str | None
    version: int | None
    first_log_id: int
    last_log_id: int
    matched: int
    recorded: int
    what: str


class LedgerOut(Out):
    """The books of a span of time."""

    since: datetime = Field(description="As asked for, or the beginning of an hour before that is sealed.")
    until: datetime
    reached: datetime = Field(description="All that arrived before that was gone through.")
    partial: bool = Field(description="There was no time to go through all: ask again with `reached` as `since`.")
    balanced: bool = Field(description="True as well where nothing arrived; `hours` is empty then.")
    accepted: int
    stored: int
    expired: int = Field(description="Records of these hours that are missing because retention removed them unsealed.")
    gaps_found: int
    gaps: list[GapOut] = Field(description="The first 1,000.")
    hours: list[HourBalanceOut] = Field(description="Hours in which anything arrived, oldest first.")
