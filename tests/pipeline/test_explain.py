"""Explain: from any record to the page it caused, or to what says why there is none; from an alert to its beginning."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text, update

from desk import ANA, Desk, FakeClock, critical, error, info
from tocsin.alerts.model import rule_versions
from tocsin.alerts.rules import Kind
from tocsin.kit.errors import NotFound
from tocsin.kit.events import LogsStored
from tocsin.kit.priorities import Priority
from tocsin.logs.model import chunks
from tocsin.pipeline import ROUTES
from tocsin.proof.explain import AlertExplained, RecordExplained, RuleOnRecord, explain_alert, explain_record
from tocsin.proof.ticket_explain import TicketExplained, explain_ticket
from tocsin.settings import Settings
from tocsin.tickets import merge_service
from tocsin.tickets import service as tickets
from tocsin.tickets.storming import StormLimits


def posted(desk: Desk, *records: dict[str, Any], **how: Any) -> int:
    """Post records; the id of the last one."""
    last_id = desk.post(*records, **how).last_id
    assert last_id is not None
    return last_id


def explained(desk: Desk, record_id: int) -> RecordExplained:
    return explain_record(desk.database, desk.reader, record_id)


def by_rule(desk: Desk, record_id: int, rule: str = "errors") -> RuleOnRecord:
    [found] = [one for one in explained(desk, record_id).rules if one.rule == rule]
    return found


def alert_explained(desk: Desk, alert_id: int = 1) -> AlertExplained:
    return explain_alert(desk.database, desk.reader, alert_id)


def test_the_record_that_opened_a_ticket_leads_to_it_and_the_next_one_was_counted(desk: Desk) -> None:
    first, second = posted(desk, critical()), posted(desk, critical())
    told = by_rule(desk, first, "critical-logs")
    assert (told.outcome, told.version, told.why) == ("matched", 1, "It opened alert 1.")
    assert told.group is not None
    assert told.group.fingerprint == desk.alert.fingerprint
    assert told.group.template == "database connection lost"
    assert told.alert is not None
    assert (told.alert.status, told.alert.count, told.alert.first_log_id) == ("firing", 2, first)
    assert told.ticket is not None
    assert (told.ticket.id, told.ticket.status, told.ticket.how, told.ticket.first_log_id) == (
        1,
        "OPEN",
        "opened",
        first,
    )
    assert [event.kind for event in told.events] == ["AlertOpened", "TicketOpened"]

    later = by_rule(desk, second, "critical-logs")
    assert later.why == "It was counted on alert 1, which was open already."
    assert explained(desk, second).summary == (
        "critical-logs: counted on alert 1, ticket 1 (OPEN) (1 rule was in force when it came in)."
    )
    [stored] = explained(desk, second).events
    assert (stored.kind, stored.subject) == ("LogsStored", f"logs:{second}-{second}")


def test_records_of_the_commit_that_opened_an_alert_are_told_which_of_them_did(desk: Desk) -> None:
    last = posted(desk, critical(), info(), critical())
    assert by_rule(desk, last, "critical-logs").why == (
        f"It was counted on alert 1, which record {last - 2} had just opened."
    )


def test_a_record_in_no_rules_reach_says_so_in_one_sentence(desk: Desk) -> None:
    desk.save_rule(enabled=False)
    record = posted(desk, info())
    assert explained(desk, record).summary == (
        "No rule reached this record: 1 rule was in force, 1 switched off when it came in, and none matched."
    )
    assert by_rule(desk, record).outcome == "disabled"


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("level:>=ERROR", "It needs level:>=ERROR, but level is INFO."),
        ("level:CRITICAL", "It needs level:CRITICAL, but level is INFO."),
        ("level:INFO service:shop", "It needs service:shop, but service is payments."),
        ("message:refused", "It needs message:refused, but message is request served."),
        (
            '"timed out"',
            'It needs "timed out", but neither its message (request served) nor an id or attribute has that.',
        ),
        ("@region:us @ms:>500", "It needs @region:us, but @region is eu; @ms:>500, but @ms is absent."),
        ("NOT service:pay*", "It needs NOT service:pay*, but service is payments."),
        ("service:a OR level:ERROR", "It needs service:a OR level:ERROR, but service is payments, level is INFO."),
        ("_exists_:trace_id", "It needs _exists_:trace_id, but trace_id is absent."),
    ],
)
def test_a_record_that_a_rule_does_not_match_is_told_which_part_did_not_hold(
    desk: Desk, condition: str, why: str
) -> None:
    desk.save_rule(condition=condition)
    told = by_rule(desk, posted(desk, info(attributes={"region": "eu"})))
    assert (told.outcome, told.why, told.verdict) == ("not_matched", why, None)


def test_a_window_says_what_it_needs_what_it_holds_and_what_can_not_be_known(desk: Desk) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=3, window_s=60)
    first = posted(desk, error())
    told = by_rule(desk, first)
    assert told.verdict is not None
    assert (told.verdict.verdict, told.alert) == ("pending", None)
    assert told.why == ("It was counted in its window, which did not hold enough yet: the rule needs 3 within 60 s.")
    assert told.window is not None
    assert (told.window.threshold, told.window.hits_now) == (3, 1)
    assert told.window.note.endswith("how many were in the window when the record came in is not recorded.")

    last = posted(desk, error(), error(), error())
    assert by_rule(desk, last - 2).why.startswith("It was counted in its window")
    assert by_rule(desk, last - 1).why == "It opened alert 1: with it the window held enough (3 within 60 s)."
    assert by_rule(desk, last).why == f"It was counted on alert 1, which record {last - 1} had just opened."


def test_a_record_that_a_share_is_of_is_no_hit(desk: Desk) -> None:
    desk.save_rule(kind=Kind.RATIO, ratio=0.5, of="service:payments", minimum=10, window_s=60)
    assert by_rule(desk, posted(desk, info())).why == (
        "It counts among the records that the share is of, but not as a hit, "
        "which needs level:>=ERROR, but level is INFO."
    )
    assert by_rule(desk, posted(desk, error(service="shop"))).why == ("It needs service:payments, but service is shop.")


def test_backfill_and_a_rehearsal_say_that_they_opened_nothing(desk: Desk) -> None:
    told = by_rule(desk, posted(desk, critical(), backfill=True), "critical-logs")
    assert told.why == "It matches, but its sender called it backfill, which opens nothing."
    desk.save_rule(dry_run=True)
    told = by_rule(desk, posted(desk, error()))
    assert told.verdict is not None
    assert (told.verdict.verdict, told.verdict.would, told.alert) == ("dry_run", "opened", None)
    assert "would have opened an alert" in told.why


def test_an_old_record_is_explained_by_the_rules_as_they_were_then(desk: Desk) -> None:
    desk.save_rule(condition="level:ERROR")
    old = posted(desk, error())
    desk.save_rule(condition="level:ERROR service:shop")
    new = posted(desk, error())
    desk.remove_rule("errors")
    newest = posted(desk, error())

    assert (by_rule(desk, old).version, by_rule(desk, old).why) == (1, "It opened alert 1.")
    assert (by_rule(desk, new).version, by_rule(desk, new).outcome) == (2, "not_matched")
    assert [one.rule for one in explained(desk, newest).rules] == ["critical-logs"]


def test_a_compacted_record_is_explained_as_it_was_before(desk: Desk, clock: FakeClock) -> None:
    ids = []
    for host in ("a1", "b1"):
        clock.advance(hours=1)
        desk.save_rule(condition="level:>=ERROR @host:a*", description=f"before {host}")
        ids.append(posted(desk, error(attributes={"host": host})))
    before = [explained(desk, record_id).rules for record_id in ids]
    desk.compact()
    clock.advance(days=1)
    desk.compact()  # what was consumed long ago is dropped
    assert desk.database.read(lambda tx: tx.execute(select(chunks.c.first_id)).all()) == []

    assert [explained(desk, record_id).rules for record_id in ids] == before
    assert [by_rule(desk, record_id).outcome for record_id in ids] == ["matched", "not_matched"]


def test_a_clock_that_is_set_back_hides_no_commit(desk: Desk, clock: FakeClock) -> None:
    ids = []
    for hours in (5, -3, -3, 4, -2):
        ids.append(posted(desk, critical()))
        clock.advance(hours=hours)
    clock.advance(days=1)
    desk.compact()
    clock.advance(days=1)
    desk.compact()
    assert [by_rule(desk, record_id, "critical-logs").outcome for record_id in ids] == ["matched"] * 5


def test_a_record_that_waits_for_a_broken_rule_says_so_and_later_which_version_judged_it(
    desk: Desk, clock: FakeClock
) -> None:
    desk.save_rule()
    broken = {**desk.rule().rule.definition(), "condition": "level:"}

    def spoil(tx: Any) -> None:
        tx.execute(update(rule_versions).where(rule_versions.c.name == "errors").values(definition=broken))
        tx.execute(text("UPDATE counters SET value = value + 1 WHERE name = 'ruleset'"))

    desk.database.write(spoil, actor=ANA)
    matching, other = posted(desk, info(), error()), posted(desk, info())
    told = by_rule(desk, matching)
    assert (told.outcome, told.verdict) == ("waiting", None)
    assert "QueryError" in told.why

    desk.save_rule()
    clock.advance(minutes=1)
    desk.run_due_timers()
    told = by_rule(desk, matching)
    assert (told.version, told.why) == (2, "It opened alert 1.")
    assert (by_rule(desk, other).version, by_rule(desk, other).outcome) == (2, "not_matched")
    assert [event.kind for event in explained(desk, matching).events] == ["LogsStored", "LogsParked", "LogsUnparked"]


class Hasty:
    """A stage that raises once."""

    raised = False

    def __call__(self, tx: Any, stored: Any) -> None:
        if not self.raised:
            self.raised = True
            raise RecursionError("went astray")


def test_a_commit_that_waits_as_a_whole_is_explained_by_the_rules_that_judged_it_at_last(
    settings: Settings, open_desk: Any, clock: FakeClock
) -> None:
    desk = open_desk(settings, routes={**ROUTES, LogsStored: (Hasty(), *ROUTES[LogsStored])})
    record = posted(desk, critical())
    assert by_rule(desk, record, "critical-logs").outcome == "waiting"
    desk.save_rule("critical-logs", "level:CRITICAL service:payments")
    clock.advance(minutes=1)
    desk.run_due_timers()
    told = by_rule(desk, record, "critical-logs")
    assert (told.version, told.why) == (2, "It opened alert 1.")


def test_an_alert_is_explained_from_its_first_record_to_its_end(desk: Desk, clock: FakeClock) -> None:
    first = posted(desk, info(), critical(), critical())
    posted(desk, critical())
    told = alert_explained(desk)
    assert told.ended is None
    assert told.first_record is not None
    assert (told.first_record.id, told.alert.first_log_id, told.verdicts) == (
        first - 1,
        first - 1,
        {"opened": 2, "counted": 1},
    )
    assert told.rule is not None
    assert (told.rule_version, told.rule["condition"]) == (1, "level:CRITICAL")
    assert told.summary == (
        f"Record {first - 1} opened it by rule critical-logs (version 1); 3 records in all; "
        "ticket 1 (OPEN) was opened by it; it still fires."
    )

    desk.resolve(1)
    ended = alert_explained(desk).ended
    assert ended is not None
    assert (ended.at, ended.how) == (clock.now(), "resolved")
    assert ended.why == "it ended when local:ana resolved its ticket"


def test_an_alert_tells_why_it_went_to_its_ticket_and_the_ticket_its_first_record(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(correlate_by=("service",))
    first = posted(desk, error("one"))
    posted(desk, error("two"))
    desk.resolve(1)
    posted(desk, error("three"))
    desk.resolve(1)
    clock.advance(days=1)
    posted(desk, error("four"))

    told = [alert_explained(desk, alert_id).ticket for alert_id in (1, 2, 3, 4)]
    assert [(one.id, one.how) for one in told if one] == [
        (1, "opened"),
        (1, "joined"),
        (1, "reopened"),
        (2, "recurrence"),
    ]
    assert told[2] is not None
    assert told[2].first_log_id == first
    beside = alert_explained(desk, 2).ticket_alerts
    assert [(one.id, one.first_log_id) for one in beside] == [(3, first + 2), (2, first + 1), (1, first)]


def test_an_alert_that_went_quiet_and_one_with_late_records_say_so(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=2, window_s=120, auto_resolve_after_s=60)
    posted(desk, error(), error())
    late = posted(desk, error(timestamp="2026-11-24T02:20:20Z"))
    assert by_rule(desk, late).late == "It was late for its window."
    assert alert_explained(desk).late == 1
    clock.advance(minutes=2)
    desk.run_due_timers()
    ended = alert_explained(desk).ended
    assert ended is not None
    assert (ended.how, ended.why) == ("quiet", "it ended after 60 s without anything to say")


def test_what_is_not_there_can_not_be_explained(desk: Desk) -> None:
    with pytest.raises(NotFound):
        explained(desk, 99)
    with pytest.raises(NotFound):
        alert_explained(desk, 99)


def test_an_alert_that_was_gathered_says_which_alert_caused_it_and_how_they_depend(desk: Desk) -> None:
    desk.declare("web", depends_on=["api"])
    desk.declare("api", depends_on=["db"])
    desk.post(critical(service="db"))
    record_id = posted(desk, critical(service="web"))
    desk.declare("web")  # what is declared by now makes no difference

    told = by_rule(desk, record_id, "critical-logs")
    assert told.ticket is not None
    assert (told.ticket.id, told.ticket.how) == (1, "gathered")
    why = "Gathered in ticket 1 as caused by alert 1 of service db, on which web depends (web → api → db)."
    assert told.ticket.why == why
    assert told.why.endswith("it follows from alert 1 of a service that its own depends on.")
    assert "gathered it because of what its service depends on" in alert_explained(desk, 2).summary


def test_a_silenced_record_names_the_silence_whose_it_is_why_and_until_when(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(auto_resolve_after_s=60)
    desk.silence("service:payments", owner="rui", reason="disk replacement")
    record_id = posted(desk, error())
    told = by_rule(desk, record_id)
    by = "silence 1 of rui hides it, until 2026-11-24T03:21:00Z (disk replacement)"
    assert told.why == f"It was counted on alert 1, and told nobody: {by}."
    assert told.silence is not None
    assert (told.silence.id, told.silence.matcher, told.ticket) == (1, "service:payments", None)
    assert alert_explained(desk).summary.endswith(f"it has no ticket; it still fires, and tells nobody: {by}.")

    clock.advance(minutes=2)
    desk.run_due_timers()
    desk.end_silence()
    assert alert_explained(desk).summary.endswith("it has no ticket; it ended without a ticket: silence 1 hid it.")
    assert "silence 1 of rui hid it, until 2026-11-24T02:23:00Z (disk" in by_rule(desk, record_id).why
    shortened = by_rule(desk, record_id).silence
    assert shortened is not None
    assert shortened.until == clock.now()


def ticket_explained(desk: Desk, ticket_id: int = 1) -> TicketExplained:
    return explain_ticket(desk.database, desk.reader, ticket_id)


def test_a_ticket_leads_to_its_exact_first_record_whatever_was_merged_into_it(desk: Desk) -> None:
    first = posted(desk, critical("disk full"))
    second = posted(desk, critical())
    desk.database.write(lambda tx: merge_service.merge(tx, 1, 2), actor=ANA)
    told = ticket_explained(desk, 2)
    assert (told.first_alert_id, told.first_log_id, told.window_first_log_id) == (2, second, None)
    assert told.first_record is not None
    assert told.first_record.id == second
    assert told.summary == (
        f"Record {second} opened it by rule critical-logs (version 1); 2 alerts are on it; it is OPEN."
    )
    assert [(one.id, one.how) for one in told.alerts] == [(2, "opened"), (1, "merged")]
    assert told.alerts[1].why == "It came with ticket 1, which was merged."
    assert told.events[0].kind == "TicketOpened"

    merged = ticket_explained(desk, 1)
    assert (merged.first_alert_id, merged.first_log_id, merged.alert_count) == (1, first, 0)
    assert merged.summary.endswith("; no alert is on it; it was merged into ticket 2.")
    record = by_rule(desk, first, "critical-logs")
    assert record.ticket is not None
    assert (record.ticket.id, record.ticket.first_log_id) == (2, second)


def test_a_storms_ticket_names_all_that_it_holds(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settings, limits=StormLimits(2, 0))
    for message in ("one", "two", "three", "four"):
        posted(desk, critical(message))
    told = ticket_explained(desk, 3)
    assert (told.opened_by, told.first_alert_id, told.first_log_id) == ("storm", 3, 3)
    assert [(one.id, one.how, one.suppressed_by) for one in told.alerts] == [
        (4, "storm", "storm:3"),
        (3, "storm", "storm:3"),
    ]
    assert "it is that of a storm, in which this came first" in told.summary


def test_a_ticket_that_a_person_opened_began_without_a_record(desk: Desk) -> None:
    fields = {"title": "t", "description": "", "priority": Priority.P3, "service": None, "assignee": None}
    desk.database.write(lambda tx: tickets.open_by_hand(tx, **fields), actor=ANA)
    told = ticket_explained(desk)
    assert (told.first_alert_id, told.first_record, told.alerts) == (None, None, [])
    assert told.summary == "local:ana opened it, without any record; no alert is on it; it is OPEN."
    with pytest.raises(NotFound):
        ticket_explained(desk, 9)


def test_a_ticket_of_a_threshold_names_the_record_that_its_window_began_with(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=3, window_s=60, group_by=("service",))
    posted(desk, error())
    clock.advance(minutes=2)
    began = posted(desk, error(), error(service="shop"), error()) - 2
    clock.advance(seconds=10)
    crossed = posted(desk, info(), error(), error()) - 1
    told = ticket_explained(desk)
    assert (told.first_log_id, told.window_first_log_id) == (crossed, began)
    completed = f"which completed a window that began with record {began};"
    assert told.summary.startswith(f"Record {crossed} opened it by rule errors (version 1), {completed}")
    assert alert_explained(desk).window_first_log_id == began

    desk.resolve(1)
    clock.advance(seconds=10)
    began = posted(desk, error(), error(), error()) - 2
    assert alert_explained(desk, 2).window_first_log_id == began, "an episode empties its window"


def test_an_alert_that_was_released_says_what_had_kept_it_until_when_and_why(desk: Desk, clock: FakeClock) -> None:
    desk.silence("@host:a", owner="rui", reason="disk replacement", break_factor=1, baseline_n=1)
    hidden = posted(desk, critical(host="a"))
    clock.advance(minutes=1)
    posted(desk, critical(host="b"))
    why = "until 2026-11-24T02:22:00Z: a record came that nothing hides"
    assert f"2 records in all; silence 1 hid it, {why}; ticket 1" in alert_explained(desk).summary
    told = by_rule(desk, hidden, "critical-logs")
    assert told.why.endswith(
        "silence 1 of rui hides it, until 2026-11-24T03:21:00Z (disk replacement)."
        " People were told of alert 1 at 2026-11-24T02:22:00Z: a record came that nothing hides."
    )

    posted(desk, *[critical("another thing", host="a")] * 40)
    desk.watch_silences()
    desk.run_due_timers()
    broke = by_rule(desk, hidden, "critical-logs")
    assert "silence 1 of rui hid it, until 2026-11-24T02:22:00Z, when it broke (disk replacement)." in broke.why
    assert broke.silence is not None
    assert (broke.silence.active, broke.silence.broken) == (False, True)
    assert (
        "silence 1 hid it, until 2026-11-24T02:22:00Z: silence 1 hides it no longer" in alert_explained(desk, 2).summary
    )
