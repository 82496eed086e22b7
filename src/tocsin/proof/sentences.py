"""The sentences of an explanation."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.alerts.flapping import CHANGES
from tocsin.alerts.rules import Kind, Rule
from tocsin.alerts.suppression import FLAP, INHIBITION, SILENCE, STORM, parts
from tocsin.kit.clock import iso
from tocsin.proof.facts import Happening, Silenced, Verdict, Waiting
from tocsin.proof.judging import Judged

MATCHED: Final = "matched"
NOT_MATCHED: Final = "not_matched"
DISABLED: Final = "disabled"
BROKEN: Final = "broken"
WAITING: Final = "waiting"


def _needed(rule: Rule) -> str:
    """What a window of the rule needs to fire."""
    lasting = f", for {rule.for_s} s on end" if rule.for_s else ""
    if rule.kind is Kind.RATIO:
        return f"a share of {rule.ratio:g} of at least {rule.minimum} within {rule.window_s} s{lasting}"
    if rule.kind is Kind.MATCH:
        return f"records that go on for {rule.for_s} s"
    return f"{rule.threshold} within {rule.window_s} s{lasting}"


def why_not(judged: Judged) -> str:
    """Which part of a rule's condition a record doesn't meet."""
    parts = "; ".join(one.text for one in judged.missing)
    if judged.as_other:
        return f"It counts among the records that the share is of, but not as a hit, which needs {parts}."
    return f"It needs {parts}."


def why_waiting(waiting: Waiting) -> str:
    """Why it is not known yet what becomes of a record."""
    whom = "The rule" if waiting.rule is not None else "Detection"
    return f"{whom} raised on this record; it is tried again ({waiting.attempts} times so far): {waiting.error}"


def why_verdict(rule: Rule, verdict: Verdict | None, record_id: int, *, kept_by: str = "") -> str:
    """What a verdict means for a record that the rule matches; `kept_by` says what kept it from people."""
    if verdict is None:
        return "It matches, but no verdict of it is recorded."
    if verdict.verdict == "suppressed":
        by = kept_by or suppressed_in_words(verdict.suppressed_by)
        return f"It was counted on alert {verdict.alert_id}, and told nobody: {by}."
    text = _MEANT.get(verdict.verdict, "Its verdict is {v.verdict}.")
    if verdict.verdict == "pending" and rule.kind is Kind.NEW_PATTERN:
        text = _KNOWN
    if verdict.verdict == "opened" and verdict.first_log_id != record_id:
        text = "It was counted on alert {v.alert_id}, which record {v.first_log_id} had just opened."
    would = _WOULD.get(verdict.would or "", "would have been noted")
    if verdict.would == "pending" and rule.kind is Kind.NEW_PATTERN:
        would = "is of a known pattern, or of one that was only learned"
    if rule.kind is Kind.ABSENCE:
        text, would = _MEANT_ALIVE.get(verdict.verdict, text), "would have been noted as a sign of life"
    elif rule.kind is Kind.MATCH and verdict.verdict == "pending":
        text = "Records of its kind had not gone on for long enough yet: the rule needs {needed}."
    return text.format(v=verdict, would=would, by_window=_by_window(rule), needed=_needed(rule), rule=rule)


def why_with(template: str | None) -> str:
    """Why a record is on the alert of a message that is masked to another template."""
    return "" if template is None else f' Its message has the pattern of "{template}", which the alert was opened for.'


def silence_in_words(silence: Silenced) -> str:
    """Which silence hides something, whose it is, why, and until when."""
    until = "" if silence.until is None else f", until {iso(silence.until)}"
    broke = ", when it broke" if silence.broken else ""
    hides = "hides" if silence.active else "hid"
    return f"silence {silence.id} of {silence.owner} {hides} it{until}{broke} ({silence.reason})"


def why_released(released: Happening) -> str:
    """What had kept an alert from people, until when, and why no longer."""
    by = suppressed_in_words(released.data["suppressed_by"], past=True)
    return f"{by}, until {iso(released.at)}: {released.data['reason']}"


def suppressed_in_words(suppressed_by: str | None, decided: Happening | None = None, *, past: bool = False) -> str:
    """What keeps an alert from people, or kept it, with the numbers of the event that `decided` it, if it is known."""
    what, which = parts(suppressed_by)
    words = (_HAD_KEPT_BY if past else _KEPT_BY).get(what, "what did is not recorded")
    return words.format(which=which) + _numbers(decided)


def why_storm(began: Mapping[str, Any]) -> str:
    """Why the ticket of a storm gathered an alert."""
    scope = "in all" if began["scope"] == "all" else "of its service"
    many = f"{began['tickets']} tickets {scope} would have opened within {began['within_s'] // 60} min"
    return f"{many}, the limit is {began['limit']}: the ticket of a storm gathers them."


def _numbers(decided: Happening | None) -> str:
    match decided:
        case Happening(kind="AlertFlapping", data=data):
            return f" (change {data['changes']} within {data['within_s'] // 60} min; {CHANGES} are too many)"
        case Happening(kind="StormBegan", data=data):
            scope = "in all" if data["scope"] == "all" else "of its service"
            return f" ({data['tickets']} {scope} within {data['within_s'] // 60} min; the limit is {data['limit']})"
    return ""


_KEPT_BY: Final = {
    SILENCE: "silence {which} hides it",
    FLAP: "the alert flaps, its changes page nobody until it has been calm for 30 minutes",
    STORM: "too many alerts opened at once, ticket {which} gathers them",
    INHIBITION: "it follows from alert {which} of a service that its own depends on",
}
_HAD_KEPT_BY: Final = {
    SILENCE: "silence {which} hid it",
    FLAP: "it flapped, and its changes paged nobody",
    STORM: "too many alerts had opened at once, ticket {which} gathered them",
    INHIBITION: "it followed from alert {which} of a service that its own depends on",
}
_MEANT: Final = {
    "opened": "It opened alert {v.alert_id}{by_window}.",
    "counted": "It was counted on alert {v.alert_id}, which was open already.",
    "pending": "It was counted in its window, which did not hold enough yet: the rule needs {needed}.",
    "dry_run": "The rule only rehearsed: the record {would}.",
    "backfill": "It matches, but its sender called it backfill, which opens nothing.",
    "parked": "The rule raised, or took too long, on this record until it was given up; it opened nothing.",
    "overflow": "The rule had too many alerts open: it was counted on alert {v.alert_id}, which gathers other groups.",
}
_MEANT_ALIVE: Final = {
    "pending": "It is a sign of life: the rule opens an alert when there is none for {rule.window_s} s.",
    "overflow": "It is a sign of life of the other groups: the rule knows too many to watch each by itself.",
    "backfill": "It matches, but its sender called it backfill, which is no sign of life.",
}
_KNOWN: Final = (
    "Its pattern is known in this service, or became known with it while the rule was still learning or rehearsing."
)
_WOULD: Final = {
    "opened": "would have opened an alert, or been counted on one opened just before",
    "counted": "would have been counted on an alert",
    "pending": "would have waited for more",
    "overflow": "would have been gathered with other groups",
}


def why_gathered(ticket_id: str, data: Mapping[str, Any]) -> str:
    """Why an alert is in the ticket of another one: from the event by which it came there."""
    steps = list(data.get("way") or ())
    depends = f", on which {steps[0]} depends ({' → '.join(steps)})" if steps else ""
    cause = f"alert {data['caused_by_alert_id']} of service {data['caused_by_service']}"
    return f"Gathered in ticket {ticket_id} as caused by {cause}{depends}."


def _by_window(rule: Rule) -> str:
    if rule.window_s is None:
        return "" if rule.for_s is None else f": with it there had been enough ({_needed(rule)})"
    return f": with it the window held enough ({_needed(rule)})"


def why_opened(rule: Rule | None, name: str, version: int, first_id: int | None) -> str:
    """How an alert began."""
    if rule is None or rule.kind is not Kind.ABSENCE:
        return f"Record {first_id} opened it by rule {name} (version {version})"
    last = "there never was one" if first_id is None else f"the last one was record {first_id}"
    return f"Rule {name} (version {version}) opened it, for there was no record for {rule.window_s} s; {last}"


def why_window(first_id: int, window_first: int | None) -> str:
    """Which record the window of an alert began with, where there is one."""
    if window_first is None:
        return ""
    began = "itself" if window_first == first_id else f"record {window_first}"
    return f", which completed a window that began with {began}"


def why_quiet(rule: Rule | None, quiet_s: int) -> str:
    """How an alert ended by itself."""
    if rule is None or rule.kind is not Kind.ABSENCE:
        return f"it ended after {quiet_s} s without anything to say"
    return f"it ended when there had been records again for {quiet_s} s" if quiet_s else "it ended with the next record"


def late_in_words(verdict: Verdict) -> str | None:
    """Whether a record was late for its window, as far as the verdict tells."""
    if not verdict.late:
        return None
    if verdict.late == verdict.n:
        return "It was late for its window."
    return f"{verdict.late} of the {verdict.n} records of this verdict were late for their window; not which."


def window_note(rule: Rule, verdict: Verdict | None) -> str:
    """What is known of a window's count when the record came in."""
    said = {"opened": "it held enough", "pending": "it did not hold enough yet"}
    decided = verdict if verdict is None or verdict.verdict != "dry_run" else None
    told = said.get("" if decided is None else decided.verdict)
    known = f"The verdict says that {told}; " if told else ""
    return f"{known}{'how' if known else 'How'} many were in the window when the record came in is not recorded."


def summary_of_record(outcomes: Sequence[tuple[str, str, str]]) -> str:
    """One sentence about a record: from the name, outcome and fate of each rule there was."""
    telling = [(name, fate) for name, outcome, fate in outcomes if outcome in {MATCHED, WAITING, BROKEN}]
    off = sum(outcome == DISABLED for _, outcome, _ in outcomes)
    on = len(outcomes) - off
    were = f"{on} {'rule was' if on == 1 else 'rules were'} in force{f', {off} switched off' if off else ''}"
    if not telling:
        return f"No rule reached this record: {were} when it came in, and none matched."
    told = "; ".join(f"{name}: {fate}" for name, fate in telling)
    return f"{told} ({were} when it came in)."


def summary_of_verdict(verdict: Verdict | None, ticket: str | None) -> str:
    """A verdict in few words, with the ticket it led to."""
    if verdict is None:
        return "matched, but no verdict is recorded"
    would = f" (would have: {verdict.would})" if verdict.would else ""
    alert = "" if verdict.alert_id is None else f" alert {verdict.alert_id}"
    on = f"{verdict.verdict} on{alert}" if alert and verdict.verdict == "counted" else f"{verdict.verdict}{alert}"
    return on + would + (f", {ticket}" if ticket else "")
