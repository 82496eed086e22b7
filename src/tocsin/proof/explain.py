"""Explain: from a record to the rules that judged it and on to its tickets, and from an alert to its beginning."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tocsin.alerts import pattern_store, placing, rule_store, silence_store
from tocsin.alerts import store as alert_store
from tocsin.alerts.grouping import fingerprint_of
from tocsin.alerts.overflow import OTHER_PATTERNS, OVERFLOW, overflow_of
from tocsin.alerts.pattern_store import Pattern
from tocsin.alerts.rules import WINDOWED, Rule
from tocsin.alerts.silencing import silence_id_of
from tocsin.alerts.store import Alert
from tocsin.alerts.suppression import FLAP, STORM, parts
from tocsin.kit.clock import iso
from tocsin.kit.errors import NotFound, Unreadable
from tocsin.kit.events import AlertFlapping, AlertReleased, Matched
from tocsin.logs.record import Record
from tocsin.logs.service import LogReader
from tocsin.proof import sentences, store
from tocsin.proof.facts import Commit, Happening, Silenced, Verdict, Waiting
from tocsin.proof.judging import Judged, judge, rules_that_judged
from tocsin.proof.reasons import Missing
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx
from tocsin.tickets import store as ticket_store

MAX_ALERTS: Final = 100


@dataclass(frozen=True, slots=True)
class GroupOf:
    """The group that a rule puts a record in, and the pattern that it has now, if its template is known.

    `template` is the message with its variable parts masked; forms of one pattern are counted on one alert.
    """

    fingerprint: str
    template: str
    service: str
    pattern_id: int | None
    pattern: str | None


@dataclass(frozen=True, slots=True)
class WindowOf:
    """What a window needs to fire, and what it holds now: `hits` of `total` records; None when it is forgotten."""

    threshold: int | None
    ratio: float | None
    minimum: int | None
    window_s: int
    hits_now: int | None
    total_now: int | None
    note: str


@dataclass(frozen=True, slots=True)
class AlertState:
    """An alert as it is now. `first_log_id` is the record it began with; of an absence the last one before it."""

    id: int
    status: str
    rule: str
    count: int
    first_log_id: int | None


@dataclass(frozen=True, slots=True)
class TicketState:
    """A ticket as it is now. `first_log_id` is the very first record, that of the alert which opened it."""

    id: int
    status: str
    title: str
    how: str
    why: str
    recurrence_of: int | None
    first_log_id: int | None


@dataclass(frozen=True, slots=True)
class RuleOnRecord:
    """What a rule, in the version that judged the record, made of it."""

    rule: str
    version: int
    outcome: str
    why: str
    condition: str
    missing: Sequence[Missing] = ()
    group: GroupOf | None = None
    window: WindowOf | None = None
    verdict: Verdict | None = None
    late: str | None = None
    silence: Silenced | None = None
    alert: AlertState | None = None
    ticket: TicketState | None = None
    events: Sequence[Happening] = ()


@dataclass(frozen=True, slots=True)
class RecordExplained:
    """A record, the commit that stored it, and every rule there was then."""

    summary: str
    record: Record
    commit: Commit | None
    rules: Sequence[RuleOnRecord]
    events: Sequence[Happening]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an alert ended: by its ticket (`resolved`), or by itself (`quiet`)."""

    at: datetime
    how: str
    why: str


@dataclass(frozen=True, slots=True)
class AlertExplained:
    """An alert from its first record to its end. `ticket_alerts` are the newest alerts of its ticket.

    `window_first_log_id`: what the window began with that its first record completed, where its rule counts in one.
    """

    summary: str
    alert: AlertState
    rule_version: int
    rule: dict[str, Any] | None
    fingerprint: str
    template: str
    pattern_id: int | None
    pattern: str | None
    first_record: Record | None
    window_first_log_id: int | None
    verdicts: dict[str, int]
    late: int
    opened_at: datetime
    ended: Ending | None
    silence: Silenced | None
    ticket: TicketState | None
    ticket_alerts: Sequence[AlertState]
    events: Sequence[Happening]


def explain_record(database: Database, logs: LogReader, record_id: int) -> RecordExplained:
    """Why a stored record did, or did not, lead to a ticket. Raises NotFound, and Unreadable."""
    record = logs.get(record_id)
    return database.read(lambda tx: _record_explained(tx, record))


def _record_explained(tx: ReadTx, record: Record) -> RecordExplained:
    commit = store.commit_of(tx, record)
    if commit is None:
        summary = "Which rules were in force when this record came in is not known: the event of its commit is gone."
        return RecordExplained(summary, record, None, [], [])
    retries = store.retried(tx, commit, record.id)
    rules, gone = rules_that_judged(commit.ruleset, retries, lambda ruleset: store.rules_at(tx, ruleset))
    told = [*_rules_on_record(tx, record, commit, rules), *map(_gone, gone)]
    summary = sentences.summary_of_record([(one.rule, one.outcome, _fate(one)) for one in told])
    stored = store.event(tx, commit.event_id)
    return RecordExplained(summary, record, commit, told, [*([] if stored is None else [stored]), *retries])


def _rules_on_record(tx: ReadTx, record: Record, commit: Commit, rules: Sequence[Rule]) -> list[RuleOnRecord]:
    verdicts = store.verdicts_over(tx, commit, record.id)
    waiting = store.waiting_over(tx, commit, record.id)
    judged = {one.rule.name: one for one in judge(record, [rule for rule in rules if rule.enabled])}
    found = []
    for rule in rules:
        one = judged.get(rule.name)
        if one is None:
            why = "The rule was switched off."
            found.append(RuleOnRecord(rule.name, rule.version, sentences.DISABLED, why, rule.condition))
            continue
        held = next((w for w in waiting if w.rule in {None, rule.name}), None)
        mine = [v for v in verdicts if v.rule == rule.name and (v.verdict == "backfill") == record.backfill]
        given_up = next((v for v in verdicts if v.rule == rule.name and v.verdict == "parked"), None)
        found.append(_rule_on_record(tx, record, one, held, given_up or _verdict_of(tx, one, mine)))
    return found


def _verdict_of(tx: ReadTx, judged: Judged, verdicts: Sequence[Verdict]) -> Verdict | None:
    """The verdict that is about the record: of its form, of another form of its pattern, of what takes all that is too
    many, or the only one."""
    match = judged.matched
    if match is None:
        return None
    alike = placing.fingerprints_of(match, placing.look_up(tx, [match]))
    too_many = (overflow_of(match.rule), fingerprint_of(match.rule, match.service, OTHER_PATTERNS))
    for fingerprint in (match.fingerprint, *alike, *too_many):
        for one in verdicts:
            if one.fingerprint == fingerprint:
                return one
    return verdicts[0] if len(verdicts) == 1 else None


def _rule_on_record(
    tx: ReadTx, record: Record, judged: Judged, waiting: Waiting | None, verdict: Verdict | None
) -> RuleOnRecord:
    rule = judged.rule
    if waiting is not None:
        why = sentences.why_waiting(waiting)
        return RuleOnRecord(rule.name, rule.version, sentences.WAITING, why, rule.condition)
    if verdict is not None and verdict.verdict == "parked":
        why = sentences.why_verdict(rule, verdict, record.id)
        return RuleOnRecord(rule.name, verdict.rule_version, sentences.BROKEN, why, rule.condition, verdict=verdict)
    if judged.error:
        why = f"The rule raises on this record: {judged.error}"
        return RuleOnRecord(rule.name, rule.version, sentences.BROKEN, why, rule.condition)
    if judged.matched is None:
        why = sentences.why_not(judged)
        return RuleOnRecord(rule.name, rule.version, sentences.NOT_MATCHED, why, rule.condition, judged.missing)
    match = judged.matched
    fingerprint = match.fingerprint if verdict is None else verdict.fingerprint
    pattern = _pattern_of(tx, match)
    alert = None if verdict is None or verdict.alert_id is None else alert_store.get(tx, verdict.alert_id)
    events = [] if alert is None else store.events_of_alert(tx, alert.id, alert.ticket_id)
    silence = None if verdict is None else _silenced(tx, verdict.suppressed_by, record.observed_at)
    kept_by = "" if verdict is None else _kept_by(tx, verdict.suppressed_by, silence, events)
    other = None if alert is None or alert.pattern_id is None or alert.template == match.template else alert.template
    return RuleOnRecord(
        rule.name,
        rule.version,
        sentences.MATCHED,
        sentences.why_verdict(rule, verdict, record.id, kept_by=kept_by)
        + sentences.why_with(other)
        + _told_later(verdict, events),
        rule.condition,
        group=_group_of(match, fingerprint, pattern),
        window=_window_of(tx, rule, fingerprint, verdict),
        verdict=verdict,
        late=None if verdict is None else sentences.late_in_words(verdict),
        silence=silence,
        alert=None if alert is None else alert_state(alert),
        ticket=None if alert is None else _ticket_of(tx, alert, events),
        events=events,
    )


def _pattern_of(tx: ReadTx, match: Matched) -> Pattern | None:
    """The pattern of a match as the miner and people have it now; None while its form has taught nothing yet."""
    placed = placing.look_up(tx, [match]).get(match.fingerprint)
    pattern_id = None if placed is None else placed.match.pattern_id
    return None if pattern_id is None else pattern_store.by_id(tx, [pattern_id]).get(pattern_id)


def _group_of(match: Matched, fingerprint: str, pattern: Pattern | None) -> GroupOf:
    too_many = {
        overflow_of(match.rule): OVERFLOW,
        fingerprint_of(match.rule, match.service, OTHER_PATTERNS): OTHER_PATTERNS,
    }
    template = too_many.get(fingerprint, match.template)
    shown = (None, None) if pattern is None else (pattern.id, pattern.template)
    return GroupOf(fingerprint, template, match.service, *shown)


def _window_of(tx: ReadTx, rule: Rule, fingerprint: str, verdict: Verdict | None) -> WindowOf | None:
    if rule.window_s is None or rule.kind not in WINDOWED or (verdict is not None and verdict.verdict == "backfill"):
        return None
    hits, total = store.window_now(tx, rule.name, fingerprint) or (None, None)
    note = sentences.window_note(rule, verdict)
    return WindowOf(rule.threshold, rule.ratio, rule.minimum, rule.window_s, hits, total, note)


def alert_state(alert: Alert) -> AlertState:
    return AlertState(alert.id, alert.status, alert.rule, alert.count, alert.first_record_id or None)


def _ticket_of(tx: ReadTx, alert: Alert, events: Sequence[Happening]) -> TicketState | None:
    """The ticket of an alert, and why it was this one."""
    ticket = None if alert.ticket_id is None else ticket_store.get(tx, alert.ticket_id)
    if ticket is None:
        return None
    brought = next((one for one in events if one.subject == f"ticket:{ticket.id}"), None)
    brought = brought or store.moved_by(tx, alert.id, ticket.id)
    how, why = way_to_ticket(brought, store.storm_of(tx, ticket.id))
    first_id = store.first_record_of_ticket(tx, ticket.id)
    return TicketState(ticket.id, ticket.status.value, ticket.title, how, why, ticket.recurrence_of, first_id)


def way_to_ticket(brought: Happening | None, storm: Happening | None) -> tuple[str, str]:
    match brought:
        case None:
            found = "unknown", "The event that tells how the alert came to this ticket is gone."
        case Happening(kind="TicketSplitOff", actor=actor, data=data):
            found = "split", f"{actor} split it off ticket {data['from_id']}: {data['reason']}"
        case Happening(kind="TicketAbsorbed", actor=actor, data=data):
            found = "merged", f"{actor} merged ticket {data['other_id']}, where it was, into this one."
        case Happening(kind="AlertJoined", data={"caused_by_alert_id": int()} as data):
            found = "gathered", sentences.why_gathered(brought.subject.removeprefix("ticket:"), data)
        case Happening(kind="AlertJoined" | "TicketOpened") if storm is not None:
            found = "storm", sentences.why_storm(storm.data)
        case Happening(kind="AlertJoined"):
            found = "joined", "A ticket with the alert's correlation key was open, so the alert joined it."
        case Happening(kind="TicketReopened"):
            found = "reopened", "The last ticket of its correlation key was resolved so recently that it was reopened."
        case Happening(data={"released_from": int(storms)}):
            found = (
                "released",
                f"The storm of ticket {storms} was over, and the alert still fired: it got its own ticket.",
            )
        case Happening(data={"recurrence_of": int(earlier)}):
            why = f"Ticket {earlier} of its correlation key was over for too long, so a new one opened."
            found = "recurrence", why
        case _:
            found = "opened", "No ticket had its correlation key, so a new one opened."
    return found


def _gone(rule: Rule) -> RuleOnRecord:
    why = "The rule raised on this record and was removed before it could be tried again."
    return RuleOnRecord(rule.name, rule.version, sentences.BROKEN, why, rule.condition)


def _fate(told: RuleOnRecord) -> str:
    if told.outcome != sentences.MATCHED:
        return told.outcome
    ticket = None if told.ticket is None else f"ticket {told.ticket.id} ({told.ticket.status})"
    return sentences.summary_of_verdict(told.verdict, ticket)


def explain_alert(database: Database, logs: LogReader, alert_id: int) -> AlertExplained:
    """How an alert began, what was counted on it, where it went and how it ended. Raises NotFound."""
    alert = database.read(lambda tx: alert_store.get(tx, alert_id))
    if alert is None:
        raise NotFound(what="alert", id=alert_id)
    first = record_or_none(logs, alert.first_record_id)
    return database.read(lambda tx: _alert_explained(tx, alert_id, first))


def record_or_none(logs: LogReader, record_id: int) -> Record | None:
    """A record, unless retention has dropped it or its segment is damaged."""
    try:
        return logs.get(record_id)
    except (NotFound, Unreadable):
        return None


def _alert_explained(tx: ReadTx, alert_id: int, first: Record | None) -> AlertExplained:
    alert = alert_store.get(tx, alert_id)
    if alert is None:
        raise NotFound(what="alert", id=alert_id)
    events = store.events_of_alert(tx, alert.id, alert.ticket_id)
    verdicts, late = store.counted_on(tx, alert.id)
    rule = rule_store.definition(tx, alert.rule, alert.rule_version)
    ticket, ended = _ticket_of(tx, alert, events), _ending(alert, events, rule)
    beside = [] if ticket is None else alert_store.of_tickets(tx, ticket.id, limit=MAX_ALERTS)
    began = sentences.why_opened(rule, alert.rule, alert.rule_version, alert.first_record_id or None)
    went = "it has no ticket" if ticket is None else f"ticket {ticket.id} ({ticket.status}) {_HOW[ticket.how]}"
    window_first = window_first_log(tx, alert)
    began += sentences.why_window(alert.first_record_id, window_first)
    many = "1 record" if alert.count == 1 else f"{alert.count} records"
    silence = _silenced(tx, alert.suppressed_by, tx.now if alert.ended_at is None else alert.opened_at)
    kept_by = _kept_by(tx, alert.suppressed_by, silence, events)
    end = _going_on(alert, kept_by) if ended is None else ended.why
    released = _released(events)
    kept = [] if released is None else [sentences.why_released(released)]
    return AlertExplained(
        summary="; ".join([began, f"{many} in all", *kept, went, end]) + ".",
        alert=alert_state(alert),
        rule_version=alert.rule_version,
        rule=None if rule is None else rule.definition(),
        fingerprint=alert.fingerprint,
        template=alert.template,
        pattern_id=alert.pattern_id,
        pattern=alert.pattern,
        first_record=first,
        window_first_log_id=window_first,
        verdicts=verdicts,
        late=late,
        opened_at=alert.opened_at,
        ended=ended,
        silence=silence,
        ticket=ticket,
        ticket_alerts=[alert_state(one) for one in beside],
        events=events,
    )


def window_first_log(tx: ReadTx, alert: Alert) -> int | None:
    """The record that the window of an alert began with; None where its rule counts in none."""
    rule = rule_store.definition(tx, alert.rule, alert.rule_version)
    if rule is None or rule.window_s is None or rule.kind not in WINDOWED:
        return None
    return store.window_began_with(tx, alert, window_s=rule.window_s)


def _silenced(tx: ReadTx, suppressed_by: str | None, at: datetime) -> Silenced | None:
    """The silence that a verdict or an alert names; its end is that of the occurrence at that instant."""
    silence_id = silence_id_of(suppressed_by)
    row = None if silence_id is None else silence_store.get(tx, silence_id)
    if row is None:
        return None
    silence, span = row.silence, row.silence.occurrence_at(at)
    said = (silence.id, silence.matcher, silence.owner, silence.reason)
    if span is None:
        return Silenced(*said, None, active=False)
    broke_at = silence.broken_at
    if broke_at is not None and span.start <= broke_at < span.end:
        return Silenced(*said, broke_at, active=False, broken=True)
    return Silenced(*said, span.end, active=tx.now < span.end)


def _kept_by(tx: ReadTx, suppressed_by: str | None, silence: Silenced | None, events: Sequence[Happening]) -> str:
    """What keeps an alert from people, with the numbers that decided it."""
    if silence is not None:
        return sentences.silence_in_words(silence)
    what, which = parts(suppressed_by)
    decided = store.storm_of(tx, which) if what == STORM and which is not None else None
    if what == FLAP:
        decided = next((one for one in reversed(events) if one.kind == AlertFlapping.__name__), None)
    return sentences.suppressed_in_words(suppressed_by, decided)


def _released(events: Sequence[Happening]) -> Happening | None:
    """The event by which an alert was kept from people no longer, the last one."""
    return next((one for one in reversed(events) if one.kind == AlertReleased.__name__), None)


def _told_later(verdict: Verdict | None, events: Sequence[Happening]) -> str:
    """That people heard of a record's alert after all."""
    released = _released(events)
    if verdict is None or verdict.suppressed_by is None or released is None:
        return ""
    return f" People were told of alert {verdict.alert_id} at {iso(released.at)}: {released.data['reason']}."


def _going_on(alert: Alert, kept_by: str) -> str:
    return "it still fires" if alert.suppressed_by is None else f"it still fires, and tells nobody: {kept_by}"


_HOW: Final = {
    "joined": "was open, and it joined",
    "gathered": "gathered it because of what its service depends on",
    "storm": "gathered it with all else that opened at once",
    "released": "was opened for it when the storm was over",
    "reopened": "was reopened by it",
    "recurrence": "was opened by it as a recurrence",
    "opened": "was opened by it",
    "split": "was split off with it",
    "merged": "got it by a merge",
    "unknown": "holds it",
}


def _ending(alert: Alert, events: Sequence[Happening], rule: Rule | None) -> Ending | None:
    if alert.ended_at is None:
        return None
    last = next((one for one in events if one.kind in {"AlertEnded", "AlertQuieted", "AlertUnheard"}), None)
    if last is None:
        return Ending(alert.ended_at, "unknown", "it ended")
    if last.kind == "AlertQuieted":
        return Ending(alert.ended_at, "quiet", sentences.why_quiet(rule, last.data["quiet_s"]))
    if last.kind == "AlertUnheard":
        by = sentences.suppressed_in_words(last.data["suppressed_by"], past=True)
        return Ending(alert.ended_at, "unheard", f"it ended without a ticket: {by}")
    return Ending(alert.ended_at, "resolved", f"it ended when {last.actor} resolved its ticket")
