"""The events: changes a person would want to see. They are the timeline, the audit log and the only way downstream."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import ClassVar, Generic, TypeVar

from tocsin.kit.clock import iso


@dataclass(frozen=True, slots=True)
class Event:
    """A change. `subject` is what changed (`ticket:7`); the other fields are facts and become the row's `data`."""

    SUBJECT: ClassVar[str] = ""
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset()

    @property
    def kind(self) -> str:
        return type(self).__name__

    @property
    def subject(self) -> str:
        return self.SUBJECT.format(self=self)

    def data(self) -> dict[str, object]:
        """The facts as JSON values."""
        names = (f.name for f in fields(self) if f.name not in self.UNWRITTEN)
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(value: object) -> object:
    return iso(value) if isinstance(value, datetime) else value


E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Recorded(Generic[E]):
    """An event with the identity its row has."""

    id: int
    at: datetime
    event: E


@dataclass(frozen=True, slots=True)
class Matched:
    """The records of one commit that one rule version matched with one fingerprint.

    Instants are event times; `sample_ids` are some of the records, oldest first. `note` is what the rule has to say to
    whoever reads the ticket. A rule that counts within a window says so by `window_s`; `records` then holds the id and
    the time (microseconds since 1970) of each record, in order of arrival. It fires at a `threshold`, or at a share of
    `ratio_ppm` millionths of these and the `others`, once there are `minimum` of both. `for_s`: only once that has been
    so for so long, or without a window, once records have gone on for so long. `absent_s`: there were none for so long.
    Without any record, `n` is 0; an id of 0 is that of none. `covered`: ids of records and those of the silences that
    cover them, active or not, ascending; where there are silences, `records` holds every record of a rule of any kind.

    Where templates tell groups apart, `message` is the first record's, and `group` and `key` are the names and values
    that fingerprint and correlation key are made of; `pattern_id` is the pattern that the template is known to have.
    `learn_s` makes it a match of a rule about new patterns: for so long after the first one all of a service are known.
    """

    rule: str
    rule_version: int
    fingerprint: str
    correlation_key: str
    service: str
    template: str
    title: str
    level: int
    priority: int
    backfill: bool
    n: int
    first_id: int
    last_id: int
    first_at: datetime
    last_at: datetime
    sample_ids: tuple[int, ...]
    dry_run: bool = False
    reopen_window_s: int = 1800
    quiet_s: int | None = None
    note: str = ""
    threshold: int = 0
    window_s: int = 0
    ratio_ppm: int = 0
    minimum: int = 0
    records: tuple[tuple[int, int], ...] = ()
    others: tuple[tuple[int, int], ...] = ()
    for_s: int = 0
    absent_s: int = 0
    covered: tuple[tuple[int, tuple[int, ...]], ...] = ()
    message: str = ""
    group: tuple[tuple[str, str], ...] = ()
    key: tuple[tuple[str, str], ...] = ()
    pattern_id: int | None = None
    learn_s: int | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """Records of one commit that a rule raised on, or took too long for: whether it matches them is still to be found
    out."""

    rule: str
    rule_version: int
    first_id: int
    last_id: int
    reason: str
    too_slow: bool = False


@dataclass(frozen=True, slots=True)
class Detected:
    """What the rules found in a chunk of records; `ruleset` is the state of the rules that were asked."""

    ruleset: int
    matches: Sequence[Matched] = ()
    undecided: Sequence[Undecided] = ()


@dataclass(frozen=True, slots=True)
class LogsStored(Event):
    """One commit of records. `ruleset` is the state of the rules they were matched with; `sources` counts the records
    that name their source, so many sources of them. `matches` and `undecided` are what detection found before the write
    lock was taken."""

    SUBJECT: ClassVar[str] = "logs:{self.first_id}-{self.last_id}"
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset({"matches", "undecided"})

    first_id: int
    last_id: int
    accepted: int
    rejected: int
    observed_at: datetime
    ruleset: int = 0
    sources: Mapping[str, int] = field(default_factory=dict)
    matches: tuple[Matched, ...] = ()
    undecided: tuple[Undecided, ...] = ()


@dataclass(frozen=True, slots=True)
class LogsParked(Event):
    """A later stage raised on these records: they are kept, what follows from them is still to be worked out.

    `rule` names the one rule that raised; without it nothing was worked out."""

    SUBJECT: ClassVar[str] = "logs:{self.first_id}-{self.last_id}"

    first_id: int
    last_id: int
    error: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class LogsUnparked(Event):
    """What follows from parked records has been worked out, with the rules of the state `ruleset`."""

    SUBJECT: ClassVar[str] = "logs:{self.first_id}-{self.last_id}"

    first_id: int
    last_id: int
    attempts: int
    rule: str | None = None
    ruleset: int = 0


@dataclass(frozen=True, slots=True)
class LogsExpired(Event):
    """Stored records were removed because retention says so. `oldest` and `newest` are event times; `sealed`: what had
    arrived with them was on sealed books before."""

    SUBJECT: ClassVar[str] = "logs:retention"

    records: int
    size_bytes: int
    oldest: datetime
    newest: datetime
    service: str | None
    reason: str
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class HourSealed(Event):
    """The books of an hour (by arrival) were closed, so that its logs may go. `gaps` is how many did not balance. An
    hour that gets records later, by a clock that was set back, is sealed again with all of them."""

    SUBJECT: ClassVar[str] = "hour:{self.hour:%Y-%m-%dT%HZ}"

    hour: datetime
    commits: int
    accepted: int
    rejected: int
    stored: int
    waiting: int
    gaps: int


@dataclass(frozen=True, slots=True)
class SegmentDamaged(Event):
    """A file of stored records can't be read as it was written: it was set aside, its records are not found now."""

    SUBJECT: ClassVar[str] = "segment:{self.segment_id}"

    segment_id: int
    key: str
    records: int
    damage: str


@dataclass(frozen=True, slots=True)
class SegmentMended(Event):
    """A file of stored records that was set aside is whole again."""

    SUBJECT: ClassVar[str] = "segment:{self.segment_id}"

    segment_id: int
    key: str


@dataclass(frozen=True, slots=True)
class _OfRule(Event):
    SUBJECT: ClassVar[str] = "rule:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class RuleSaved(_OfRule):
    """A rule was made or changed; this version is in force from now on. `changed` names the fields that differ."""

    enabled: bool
    dry_run: bool
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleRemoved(_OfRule):
    """A rule was removed. Its versions are kept: verdicts name them."""


@dataclass(frozen=True, slots=True)
class RuleBroken(_OfRule):
    """A rule raised: its records are parked, the other rules go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class RuleMended(_OfRule):
    """A rule that had raised works again."""


@dataclass(frozen=True, slots=True)
class _OfService(Event):
    SUBJECT: ClassVar[str] = "service:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ServiceSaved(_OfService):
    """A service was declared, or its declaration changed; `before` and `after` hold the changed fields only."""

    before: Mapping[str, object]
    after: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ServiceRemoved(_OfService):
    """A service is no longer declared; `before` is what was. Others may still depend on it."""

    before: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _OfSilence(Event):
    SUBJECT: ClassVar[str] = "silence:{self.silence_id}"

    silence_id: int


@dataclass(frozen=True, slots=True)
class SilenceSaved(_OfSilence):
    """A silence or a maintenance window was made or changed. `changed` names the fields that differ."""

    version: int
    matcher: str
    owner: str
    reason: str
    starts_at: datetime
    ends_at: datetime
    recurrence: str | None
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SilenceStarted(_OfSilence):
    """A silence, or an occurrence of a maintenance window, hides what it covers, until then at most."""

    until: datetime


@dataclass(frozen=True, slots=True)
class SilenceEnded(_OfSilence):
    """A silence, or an occurrence of a maintenance window, is over; what still fires is heard. `early`: by hand."""

    started_at: datetime
    early: bool


@dataclass(frozen=True, slots=True)
class SilenceBroken(_OfSilence):
    """So many records were hidden within five minutes that the silence hides nothing for the rest of its time."""

    hidden_n: int
    baseline_per_min: float
    break_factor: float


@dataclass(frozen=True, slots=True)
class AlertOpened(Event):
    """An episode began: the first record with this fingerprint since the last episode ended; or there has been none
    for too long, and `first_record_id` is the last one, if there ever was one."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset({"match"})

    alert_id: int
    rule: str
    rule_version: int
    fingerprint: str
    service: str
    first_record_id: int | None
    late_s: int
    suppressed_by: str | None = None
    match: Matched | None = None


@dataclass(frozen=True, slots=True)
class AlertReleased(Event):
    """What kept an alert from people does so no longer, because of `reason`. `suppressed_by` is what did."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    suppressed_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class AlertFlapping(Event):
    """An alert opened or ended so often within `within_s` seconds that its changes tell nobody anything: until it has
    been calm for as long, it stays open and pages no one."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    changes: int
    within_s: int


@dataclass(frozen=True, slots=True)
class AlertGrew(Event):
    """An alert has so many records that its rule calls it more urgent."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    ticket_id: int
    count: int
    priority: str


@dataclass(frozen=True, slots=True)
class AlertEnded(Event):
    """An episode ended because its ticket was resolved."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    ticket_id: int


@dataclass(frozen=True, slots=True)
class AlertUnheard(Event):
    """An episode ended without ever having had a ticket: `suppressed_by` hid it as long as it fired."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    suppressed_by: str


@dataclass(frozen=True, slots=True)
class _OfPattern(Event):
    SUBJECT: ClassVar[str] = "pattern:{self.pattern_id}"

    pattern_id: int
    change_id: int


@dataclass(frozen=True, slots=True)
class PatternMerged(_OfPattern):
    """A person merged a pattern into another one, which stands for both from then on."""

    into_id: int


@dataclass(frozen=True, slots=True)
class PatternSplit(_OfPattern):
    """A person split a pattern from another one: messages that match its template are its own from then on."""

    from_id: int
    template: str


@dataclass(frozen=True, slots=True)
class PatternChangeUndone(_OfPattern):
    """A merge or split of patterns was undone. `change` is which of the two it was."""

    other_id: int
    change: str


@dataclass(frozen=True, slots=True)
class AlertQuieted(Event):
    """An episode ended by itself: its rule had nothing to say for `quiet_s` seconds."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    ticket_id: int
    quiet_s: int


@dataclass(frozen=True, slots=True)
class AbsenceEnded(Event):
    """What had been absent was seen again: its alert ends when that lasts for `quiet_s` seconds; None: by a person."""

    SUBJECT: ClassVar[str] = "alert:{self.alert_id}"

    alert_id: int
    record_id: int
    quiet_s: int | None


@dataclass(frozen=True, slots=True)
class _OfTicket(Event):
    SUBJECT: ClassVar[str] = "ticket:{self.ticket_id}"

    ticket_id: int


@dataclass(frozen=True, slots=True)
class TicketOpened(_OfTicket):
    """A ticket came into being, by an alert or by hand."""

    title: str
    priority: str
    service: str | None
    description: str
    assignee: str | None
    alert_id: int | None
    late_s: int | None
    recurrence_of: int | None
    released_from: int | None = None
    team: str | None = None
    tags: tuple[str, ...] = ()
    impact: int | None = None
    urgency: int | None = None
    split_from: int | None = None


@dataclass(frozen=True, slots=True)
class StormBegan(_OfTicket):
    """So many `tickets` would have opened within `within_s` seconds, of one service or in all (`scope`), that this one
    gathers them. `opened_before` are the newest that had opened by then."""

    scope: str
    tickets: int
    limit: int
    within_s: int
    opened_before: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StormEnded(_OfTicket):
    """A storm is over. The alerts that still fire were `released`: each has a ticket of its own from now on."""

    scope: str
    released: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AlertJoined(_OfTicket):
    """An alert was correlated to a ticket that was open already, or that another one opened at the same moment.

    `caused_by_alert_id` says that it follows from that alert, of `caused_by_service`; `way` are the services from its
    own to that one, each of which depends on the next."""

    alert_id: int
    caused_by_alert_id: int | None = None
    caused_by_service: str | None = None
    way: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TicketCauseSuspected(_OfTicket):
    """A service that the ticket's service depends on began to fail shortly afterwards: probably that is the cause."""

    cause_ticket_id: int
    cause_alert_id: int
    cause_service: str


@dataclass(frozen=True, slots=True)
class TicketEffectSuspected(_OfTicket):
    """A service that depends on the ticket's service had begun to fail shortly before: probably that is the effect."""

    effect_ticket_id: int
    effect_alert_id: int
    effect_service: str


@dataclass(frozen=True, slots=True)
class TicketMoved(_OfTicket):
    """A ticket changed its status along the transition table. A resolution may say of what kind it is, and how."""

    before: str
    after: str
    resolution_code: str | None = None
    resolution_note: str | None = None


@dataclass(frozen=True, slots=True)
class TicketReopened(_OfTicket):
    """A resolved ticket is worked on again. `alert_id` says which alert did it; None means a person, with a reason."""

    before: str
    after: str
    reason: str
    assignee: str | None
    alert_id: int | None


@dataclass(frozen=True, slots=True)
class TicketEdited(_OfTicket):
    """Fields of a ticket changed; `before` and `after` hold the changed ones only."""

    before: Mapping[str, object]
    after: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TicketPrioritised(_OfTicket):
    """A ticket's priority changed."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TicketAnswered(_OfTicket):
    """Somebody answered a page: `answer` is `acknowledge` or `resolve`, `way` is `link`, `slack`, `phone`,
    `cli` or `api`. The moves that follow from it are next."""

    answer: str
    person: str
    way: str


@dataclass(frozen=True, slots=True)
class _OfTemplate(Event):
    SUBJECT: ClassVar[str] = "template:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class TemplateSaved(_OfTemplate):
    """A template of messages was made or changed. `changed` names the parts that differ."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplateRemoved(_OfTemplate):
    """A template was removed; messages that named it are said by the default one."""


@dataclass(frozen=True, slots=True)
class _OfComment(_OfTicket):
    comment_id: int


@dataclass(frozen=True, slots=True)
class TicketCommented(_OfComment):
    """Somebody commented on a ticket. The text is with the comment, so that it goes when that is deleted."""


@dataclass(frozen=True, slots=True)
class TicketCommentEdited(_OfComment):
    """The author of a comment changed its text."""


@dataclass(frozen=True, slots=True)
class TicketCommentDeleted(_OfComment):
    """The author of a comment took it back."""


@dataclass(frozen=True, slots=True)
class TicketPostmortemSaved(_OfTicket):
    """Somebody wrote the postmortem of a ticket. The text is with its version."""

    version: int


@dataclass(frozen=True, slots=True)
class TicketPostmortemDropped(_OfTicket):
    """What was written of a ticket no longer holds: its postmortem is the draft again."""

    version: int


@dataclass(frozen=True, slots=True)
class TicketLinked(_OfTicket):
    """A ticket was linked with another one; `link` is what it is to that one. The other has an event too."""

    link: str
    other_id: int


@dataclass(frozen=True, slots=True)
class TicketUnlinked(_OfTicket):
    """A link of a ticket was taken away; the other one has an event too."""

    link: str
    other_id: int


@dataclass(frozen=True, slots=True)
class TicketMerged(_OfTicket):
    """A ticket was closed as the duplicate of another one; its alerts and its open correlation keys went over.

    What undoing it brings back: `raised_from` is the priority that the other one had, if it became more urgent by this;
    `hold_reason` and `hold_until` are of the hold that this ended.
    """

    into_id: int
    before: str
    after: str
    alert_ids: tuple[int, ...]
    keys: tuple[str, ...]
    raised_from: str | None = None
    hold_reason: str | None = None
    hold_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TicketUnmerged(_OfTicket):
    """A merge was undone: the ticket goes on where it was."""

    into_id: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TicketAbsorbed(_OfTicket):
    """Another ticket was merged into this one, with so many alerts."""

    other_id: int
    alerts: int


@dataclass(frozen=True, slots=True)
class TicketParted(_OfTicket):
    """The merge of another ticket into this one was undone: so many alerts went back."""

    other_id: int
    alerts: int


@dataclass(frozen=True, slots=True)
class TicketSplit(_OfTicket):
    """Alerts of a ticket turned out to be about something else: they and their correlation keys went to a new one."""

    new_id: int
    reason: str
    alert_ids: tuple[int, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TicketSplitOff(_OfTicket):
    """What a ticket that was split from another one takes over from there: its alerts, where it stands, when it was
    acknowledged, and since it opened, the stretches of time on `holds` and `resolved`, each with begin and end."""

    from_id: int
    reason: str
    alert_ids: tuple[int, ...]
    status: str
    acknowledge_from: datetime
    acknowledged_at: datetime | None
    cancelled_at: datetime | None
    holds: tuple[tuple[str, str], ...]
    resolved: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TicketHeld(_OfTicket):
    """A ticket was put on hold, until a time or until it is resumed: its clocks stand still."""

    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class TicketResumed(_OfTicket):
    """A ticket is on hold no longer. `at` is when the hold ended, whenever that was noticed."""

    reason: str


@dataclass(frozen=True, slots=True)
class TicketNoted(_OfTicket):
    """What was said of a ticket where it comes from; `by` is who or what said it, as it is called there."""

    text: str
    by: str | None


@dataclass(frozen=True, slots=True)
class TicketImported(_OfTicket):
    """A ticket came from elsewhere with its history: the events before this one are at their own times. What is said
    here holds over them. `met`: whether it kept its SLA there."""

    source: str
    external_id: str
    status: str
    team: str | None
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    reopen_count: int
    reassignment_count: int
    met: bool | None


@dataclass(frozen=True, slots=True)
class SlaAssigned(_OfTicket):
    """The clocks of a ticket run by these versions from now on, reckoned from its opening; `policy` null: by none.

    `why` is `opened`, `priority` or `recalculated`. `told` are the moments that stay told of: `resolve:breached`.
    """

    policy: str | None
    policy_version: int | None
    calendar: str | None
    calendar_version: int | None
    why: str
    told: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _OfClock(_OfTicket):
    clock: str
    due_at: datetime
    policy: str
    policy_version: int


@dataclass(frozen=True, slots=True)
class SlaAtRisk(_OfClock):
    """A clock of a ticket (`acknowledge` or `resolve`) is at risk since `at`: it is due at `due_at`."""


@dataclass(frozen=True, slots=True)
class SlaBreached(_OfClock):
    """A clock of a ticket ran out at `at`; `recorded_at` is later if nothing ran that could have noticed."""


@dataclass(frozen=True, slots=True)
class _OfPolicy(Event):
    SUBJECT: ClassVar[str] = "sla_policy:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class SlaPolicySaved(_OfPolicy):
    """An SLA policy was made or changed; it holds for tickets that open from now on. `changed` names what differs."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlaPolicyRemoved(_OfPolicy):
    """An SLA policy was removed. Its versions are kept: tickets run by them."""


@dataclass(frozen=True, slots=True)
class _OfCalendar(Event):
    SUBJECT: ClassVar[str] = "sla_calendar:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class CalendarSaved(_OfCalendar):
    """A calendar was made or changed; it holds for tickets that open from now on. `changed` names what differs."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CalendarRemoved(_OfCalendar):
    """A calendar was removed. Its versions are kept: tickets run by them."""


@dataclass(frozen=True, slots=True)
class ChangeRecorded(Event):
    """Something was changed in a service at that instant: a deploy, a switch, a migration. `ref` is what of it."""

    SUBJECT: ClassVar[str] = "change:{self.change_id}"

    change_id: int
    service: str
    changed_at: datetime
    summary: str
    ref: str | None


@dataclass(frozen=True, slots=True)
class PriorityMatrixSaved(Event):
    """Which priority follows from impact and urgency was changed; tickets get it when either is set from now on."""

    SUBJECT: ClassVar[str] = "priority_matrix"

    version: int
    before: Mapping[str, str]
    after: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _OfChannel(Event):
    SUBJECT: ClassVar[str] = "channel:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ChannelSaved(_OfChannel):
    """A way to reach people was made or changed. `changed` names the fields that differ; `channel_kind` is its kind."""

    channel_kind: str
    enabled: bool
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelRemoved(_OfChannel):
    """A way to reach people was removed; what waited for it was given up."""


@dataclass(frozen=True, slots=True)
class ChannelDisabled(_OfChannel):
    """The other side of a channel wants no more messages (410): nothing is sent there until a person says otherwise."""

    reason: str


@dataclass(frozen=True, slots=True)
class TicketHandedBack(_OfTicket):
    """Whoever had acknowledged a ticket gave it back: it is nobody's, and people are called for it again."""

    before: str
    after: str
    reason: str
    assignee: str | None


@dataclass(frozen=True, slots=True)
class TicketRouted(_OfTicket):
    """Routes said who hears of an event of a ticket (`about`): the names of those that matched, and what they led to.

    An event that no route is about goes to the console, and nothing is written of that here."""

    about: str
    routes: tuple[str, ...]
    channels: tuple[str, ...]
    policies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoutingFailed(_OfTicket):
    """Who should hear of an event of a ticket could not be worked out (`error`): it went to the console. `part` is
    what failed: a route, an escalation policy, somebody's notification rules."""

    about: str
    part: str
    error: str


@dataclass(frozen=True, slots=True)
class _OfRun(_OfTicket):
    run_id: int
    policy: str


@dataclass(frozen=True, slots=True)
class EscalationBegan(_OfRun):
    """A run of an escalation policy began for a ticket; `why` says what asked for it."""

    policy_version: int
    why: str
    route: str | None = None


@dataclass(frozen=True, slots=True)
class EscalationStepTaken(_OfRun):
    """A step of a run was taken, in that round; both are counted from 1. Each is taken once. `fallback`: nobody of the
    step could be called, so the policy's fallback was."""

    policy_version: int
    round: int
    step: int
    people: tuple[str, ...]
    channels: tuple[str, ...]
    fallback: bool
    why: str


@dataclass(frozen=True, slots=True)
class NobodyOnCall(_OfRun):
    """A step of a run found nobody to call: `wanted` says of whom it asked, `fallback` who was called instead."""

    round: int
    step: int
    wanted: tuple[str, ...]
    fallback: str | None


@dataclass(frozen=True, slots=True)
class EscalationPaused(_OfRun):
    """A run stands still: the ticket is on hold, or a silence covers all that fires."""

    why: str


@dataclass(frozen=True, slots=True)
class EscalationResumed(_OfRun):
    """A run goes on; the next step is taken at `next_at`."""

    why: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class EscalationRestarted(_OfRun):
    """A run begins a new round before its time: handed back, no activity, more urgent, nobody's again."""

    round: int
    why: str


@dataclass(frozen=True, slots=True)
class EscalationStopped(_OfRun):
    """Nobody is called any more by a run for now: the ticket was acknowledged, or given to somebody."""

    why: str


@dataclass(frozen=True, slots=True)
class EscalationSpent(_OfRun):
    """Every step of a run was taken in every round, and nobody answered."""


@dataclass(frozen=True, slots=True)
class EscalationEnded(_OfRun):
    """A run is over."""

    why: str


@dataclass(frozen=True, slots=True)
class PersonPaged(_OfTicket):
    """Somebody is called about a ticket; how, and when, their own notification rules say. `run_id` is null where no
    escalation did it: by hand, by a route to a schedule or team, or because the ticket became theirs."""

    person: str
    why: str
    run_id: int | None = None
    policy: str | None = None
    round: int | None = None
    step: int | None = None
    route: str | None = None
    message: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class ChannelPaged(_OfTicket):
    """A channel is called about a ticket by a step of an escalation, or by hand."""

    channel: str
    why: str
    run_id: int | None = None
    policy: str | None = None
    round: int | None = None
    step: int | None = None
    route: str | None = None
    message: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class PersonUnreachable(_OfTicket):
    """Somebody is to be called about a ticket and has no way that is known to work: `fallback` says what was tried."""

    person: str
    reason: str
    fallback: str


@dataclass(frozen=True, slots=True)
class _OfEscalationPolicy(Event):
    SUBJECT: ClassVar[str] = "escalation_policy:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class EscalationPolicySaved(_OfEscalationPolicy):
    """An escalation policy was made or changed; runs that begin from now on go by it. `changed` names what differs."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EscalationPolicyRemoved(_OfEscalationPolicy):
    """An escalation policy was removed. Its versions are kept: runs go by them to their end."""


@dataclass(frozen=True, slots=True)
class _OfRoute(Event):
    SUBJECT: ClassVar[str] = "route:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class RouteSaved(_OfRoute):
    """A route was made or changed; `changed` names the fields that differ."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RouteRemoved(_OfRoute):
    """A route was removed."""


@dataclass(frozen=True, slots=True)
class RoutesReordered(Event):
    """The order in which routes are tried was changed."""

    SUBJECT: ClassVar[str] = "routes"

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _OfNotificationRules(Event):
    SUBJECT: ClassVar[str] = "user:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class NotificationRulesSaved(_OfNotificationRules):
    """How somebody wants to be called was said, or changed; `changed` names the priorities that differ."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotificationRulesRemoved(_OfNotificationRules):
    """Somebody is called as everybody is by default again."""


@dataclass(frozen=True, slots=True)
class _OfDrill(Event):
    SUBJECT: ClassVar[str] = "drill:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class DrillSaved(_OfDrill):
    """A drill was scheduled, or its schedule changed; `changed` names what differs."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrillRemoved(_OfDrill):
    """A drill is not scheduled any more."""


@dataclass(frozen=True, slots=True)
class _OfDrillRun(Event):
    SUBJECT: ClassVar[str] = "drill_run:{self.drill_id}"

    drill_id: int
    service: str
    name: str | None


@dataclass(frozen=True, slots=True)
class DrillBegan(_OfDrillRun):
    """A synthetic CRITICAL log was sent to find out whether a page for the service arrives within `within_s`."""

    within_s: int


@dataclass(frozen=True, slots=True)
class DrillPassed(_OfDrillRun):
    """A drill went all the way, from the log to an answer of a channel, in `took_s` seconds."""

    ticket_id: int
    took_s: float


@dataclass(frozen=True, slots=True)
class DrillMissed(_OfDrillRun):
    """A drill was not delivered in time; `step` is the last one that was reached."""

    ticket_id: int | None
    step: str


@dataclass(frozen=True, slots=True)
class _OfUser(Event):
    SUBJECT: ClassVar[str] = "user:{self.name}"

    name: str


@dataclass(frozen=True, slots=True)
class UserSaved(_OfUser):
    """A user was made or changed, or is there again. `changed` names what differs."""

    version: int
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserRemoved(_OfUser):
    """A user was removed, with all addresses, and out of `teams`. `schedules` and `escalation_policies` still name
    them: nobody is paged in their place."""

    version: int
    schedules: tuple[str, ...]
    escalation_policies: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactMethodAdded(_OfUser):
    """A way to reach a user was added (`method` is its kind); it is used once it is verified."""

    method_id: int
    method: str


@dataclass(frozen=True, slots=True)
class ContactMethodCodeWanted(_OfUser):
    """A code is to be sent by a contact method, to verify it. The code itself is in no event."""

    method_id: int
    method: str


@dataclass(frozen=True, slots=True)
class ContactMethodVerified(_OfUser):
    """A contact method was verified: by a code, or `by_hand` by whoever may."""

    method_id: int
    method: str
    by_hand: bool


@dataclass(frozen=True, slots=True)
class ContactMethodDisabled(_OfUser):
    """A contact method is not used any more until it is enabled: what it is for refuses it for good."""

    method_id: int
    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class ContactMethodEnabled(_OfUser):
    """A contact method that was disabled is used again."""

    method_id: int
    method: str


@dataclass(frozen=True, slots=True)
class ContactMethodRemoved(_OfUser):
    """A contact method was removed."""

    method_id: int
    method: str


@dataclass(frozen=True, slots=True)
class _OfTeam(Event):
    SUBJECT: ClassVar[str] = "team:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class TeamSaved(_OfTeam):
    """A team was made or changed. `changed` names what differs."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TeamRemoved(_OfTeam):
    """A team was removed; its people stay."""


@dataclass(frozen=True, slots=True)
class _OfSchedule(Event):
    SUBJECT: ClassVar[str] = "schedule:{self.name}"

    name: str


@dataclass(frozen=True, slots=True)
class ScheduleSaved(_OfSchedule):
    """A schedule was made or changed; that holds from now on, what is past stays. `changed` names what differs."""

    version: int
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScheduleRemoved(_OfSchedule):
    """A schedule was removed: nobody is on call by it from now on. What is past stays."""

    version: int


@dataclass(frozen=True, slots=True)
class OverrideAdded(_OfSchedule):
    """From `start` to `end`, `add` is on call, `remove` is not, or the one is in the place of the other."""

    override_id: int
    start: datetime
    end: datetime
    add: str | None
    remove: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class TemporaryScheduleAdded(_OfSchedule):
    """From `start` to `end` shifts that were written down take the place of all layers."""

    override_id: int
    start: datetime
    end: datetime
    users: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class OverrideEnded(_OfSchedule):
    """An override or a temporary schedule was ended early; one that had not `begun` never holds."""

    override_id: int
    begun: bool


@dataclass(frozen=True, slots=True)
class ScheduleCalendarShared(_OfSchedule):
    """A secret address was made at which calendars find a schedule; an earlier one is no longer good."""


@dataclass(frozen=True, slots=True)
class ScheduleCalendarRevoked(_OfSchedule):
    """The secret address of a schedule's calendar is no longer good."""


@dataclass(frozen=True, slots=True)
class ScheduleGapFound(_OfSchedule):
    """Nobody is on call from `start` to `end`, and somebody should be; it begins within the next seven days. Told once,
    and again if it has become longer, or is back. The end is at most 90 days ahead."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _OfView(Event):
    SUBJECT: ClassVar[str] = "view:{self.name}"

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ViewSaved(_OfView):
    """A view, a query for tickets that is kept under a name, was made or changed. `changed` names what differs."""

    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ViewRemoved(_OfView):
    """A view was removed."""
