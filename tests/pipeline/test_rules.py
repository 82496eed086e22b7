"""Rules: what they say holds from the moment they are saved, in every process; what raises is parked."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update

from desk import ANA, Desk, FakeClock, critical, error, in_threads, info
from tocsin.alerts import rule_service
from tocsin.alerts.model import rule_versions, rules
from tocsin.alerts.rules import Rule, check
from tocsin.kit.errors import Invalid
from tocsin.kit.priorities import Priority
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.tickets import service as ticket_service


def test_the_seed_rule_is_an_ordinary_rule_that_no_upgrade_brings_back(desk: Desk) -> None:
    desk.post(critical())
    seed = desk.rule("critical-logs").rule
    assert (seed.condition, seed.priority, seed.version) == ("level:CRITICAL", Priority.P2, 1)
    assert desk.alert.rule_version == 1

    desk.remove_rule()
    assert not schema.ensure(desk.database, migrate=True)
    desk.post(critical("another"))
    assert [ticket.title for ticket in desk.tickets] == ["payments: database connection lost"]


def test_a_rule_holds_from_the_moment_it_is_saved_in_every_process(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    here, there = open_desk(settings), open_desk(settings)
    there.post(error())
    assert here.tickets == []

    here.save_rule(priority=Priority.P4)
    there.post(error())
    assert (there.ticket.priority, there.ticket.opened_by) == (4, "rule:errors")

    here.save_rule(enabled=False)
    there.post(error())
    assert there.alert.count == 1
    [last] = there.events(kind="LogsStored")[-1:]
    assert last.data["ruleset"] == 3


def test_a_change_of_a_rule_makes_a_version_that_verdicts_name(desk: Desk) -> None:
    desk.save_rule(condition="level:ERROR")
    desk.post(error("one"))
    desk.save_rule(condition="level:ERROR service:shop")
    desk.save_rule(condition="level:ERROR service:shop")
    desk.post(error("two"), error("three", service="shop"))

    assert [(alert.rule_version, alert.service) for alert in desk.alerts] == [(1, "payments"), (2, "shop")]
    assert desk.kinds("rule:errors") == ["RuleSaved", "RuleSaved"]
    saved = desk.events("rule:errors")[-1]
    assert (saved.actor, saved.data["changed"], saved.data["version"]) == (str(ANA), ["condition"], 2)


def test_a_removed_rule_keeps_its_versions_and_a_new_one_of_its_name_goes_on_counting(desk: Desk) -> None:
    desk.save_rule()
    desk.remove_rule("errors")
    desk.save_rule()
    found, _ = rule_service.versions(desk.database, "errors", cursor=None, limit=10)

    assert [(version.version, version.definition is None) for version in found] == [(3, False), (2, True), (1, False)]
    assert desk.kinds("rule:errors") == ["RuleSaved", "RuleRemoved", "RuleSaved"]


@pytest.mark.parametrize(
    ("fields", "pointer", "told"),
    [
        ({"condition": "level:>=ERROR servce:x"}, "/condition", "column 15: there is no field 'servce': did you mean"),
        ({"condition": "level:>=LOUD"}, "/condition", "column 1: level: 'LOUD' is none of TRACE"),
        ({"condition": "timestamp:>-5m"}, "/condition", "there is no field 'timestamp'"),
        ({"condition": " "}, "/condition", "is empty; expected a filter"),
        ({"name": "My rule"}, "/name", "expected up to 100 characters of a-z"),
        ({"group_by": ("host",)}, "/group_by", "there is no field 'host'; expected some of service, template"),
        ({"group_by": ("@host", "@host")}, "/group_by", "@host is named twice"),
        ({"correlate_by": ("tmplate",)}, "/correlate_by", "expected some of rule, service"),
        ({"threshold": 5}, "/threshold", "is for rules of kind threshold"),
        ({"runbook_url": "javascript:alert(1)"}, "/runbook_url", "expected an http(s) address"),
        ({"reopen_window_s": -1}, "/reopen_window_s", "expected 0 to"),
    ],
)
def test_a_rule_that_is_wrong_is_refused_with_the_place_and_what_was_expected(
    desk: Desk, fields: dict[str, Any], pointer: str, told: str
) -> None:
    with pytest.raises(Invalid) as refused:
        desk.save_rule(**fields)
    [found] = refused.value.errors
    assert found.pointer == pointer
    assert told in found.detail


def test_a_rule_decides_groups_tickets_service_priority_and_what_the_ticket_says(desk: Desk) -> None:
    desk.save_rule(
        group_by=("@host",), correlate_by=("rule", "service"), service="database", priority=Priority.P1,
        description="The database fails.", runbook_url="https://wiki.example.org/db", labels=(("team", "dba"),),
    )  # fmt: skip
    desk.post(
        error("one", attributes={"host": "a"}), error("two", attributes={"host": "a"}), error(attributes={"host": "b"})
    )

    assert [(alert.template, alert.count, alert.service) for alert in desk.alerts] == [
        ("@host=a", 2, "database"),
        ("@host=b", 1, "database"),
    ]
    assert (desk.ticket.priority, desk.ticket.service) == (1, "database")
    assert desk.ticket.description == (
        "Rule errors matched in database: @host=a\n\n"
        "The database fails.\nRunbook: https://wiki.example.org/db\nLabels: team=dba"
    )


def test_two_rules_that_correlate_by_service_share_a_ticket(desk: Desk) -> None:
    desk.save_rule("errors", correlate_by=("service",))
    desk.save_rule("slow", "slow", correlate_by=("service",))
    desk.post(error(), info("slow answer"), info("slow answer", service="shop"))

    alerts = {ticket.service: len(desk.alerts_of(ticket.id)) for ticket in desk.tickets}
    assert alerts == {"payments": 2, "shop": 1}


def test_the_reopen_window_is_that_of_the_rule(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(reopen_window_s=60)
    for pause_s in (30, 90):
        desk.post(error())
        desk.resolve(desk.tickets[-1].id)
        clock.advance(seconds=pause_s)
    desk.post(error())

    assert [(ticket.reopen_count, ticket.recurrence_of) for ticket in desk.tickets] == [(1, None), (0, 1)]


def test_a_dry_run_writes_down_what_it_would_have_done_and_opens_nothing(desk: Desk) -> None:
    desk.save_rule(dry_run=True)
    desk.post(error("one"), error("one"), error("two"))
    desk.post(error("one"))

    assert (desk.alerts, desk.tickets, desk.verdicts()) == ([], [], {"dry_run": 4})
    assert desk.would("errors") == {"opened": 3, "counted": 1}

    desk.save_rule(dry_run=False)
    desk.post(error("one"))
    assert desk.verdicts() == {"dry_run": 4, "opened": 1}


def test_a_match_rule_resolves_by_itself_when_it_is_told_to(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(auto_resolve_after_s=600)
    desk.post(error())
    clock.advance(seconds=500)
    desk.post(error())
    clock.advance(seconds=599)
    desk.run_due_timers()
    assert desk.ticket.status == "OPEN"

    clock.advance(seconds=1)
    desk.run_due_timers()
    assert (desk.ticket.status, desk.ticket.acknowledged_at, desk.ticket.version) == ("RESOLVED", None, 2)
    assert desk.alert.ended_at == clock.now()
    moves = [(e.actor, e.data["before"], e.data["after"]) for e in desk.events("ticket:1", "TicketMoved")]
    assert moves == [("system", "OPEN", "IN_PROGRESS"), ("system", "IN_PROGRESS", "RESOLVED")]
    [quieted] = desk.events(kind="AlertQuieted")
    assert {event.cause_id for event in desk.events("ticket:1", "TicketMoved")} == {quieted.id}


def test_a_ticket_with_another_alert_that_fires_is_not_resolved(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(auto_resolve_after_s=600, correlate_by=("service",))
    desk.post(error("one"), error("two"))
    clock.advance(seconds=400)
    desk.post(error("two"))
    clock.advance(seconds=300)
    desk.run_due_timers()
    open_ones = [alert.title for alert in desk.alerts if alert.ended_at is None]
    assert (open_ones, desk.ticket.status) == (["payments: two"], "OPEN")

    clock.advance(seconds=300)
    desk.run_due_timers()
    assert desk.ticket.status == "RESOLVED"


def _spoil(desk: Desk, condition: str) -> None:
    """A rule whose condition this program can't read, as one that another version wrote."""
    version = desk.rule().rule.version

    def write(tx: Any) -> None:
        mine = (rule_versions.c.name == "errors") & (rule_versions.c.version == version)
        tx.execute(
            update(rule_versions)
            .where(mine)
            .values(definition={**desk.rule().rule.definition(), "condition": condition})
        )
        tx.execute(text("UPDATE counters SET value = value + 1 WHERE name = 'ruleset'"))

    desk.database.write(write, actor=ANA)


def test_a_rule_that_raises_is_shown_as_broken_the_others_go_on_and_its_records_get_their_verdicts_later(
    desk: Desk, clock: FakeClock
) -> None:
    desk.save_rule()
    _spoil(desk, "level:")
    desk.post(critical(), error())
    desk.post(info())

    assert [ticket.opened_by for ticket in desk.tickets] == ["rule:critical-logs"]
    assert (desk.verdicts(), desk.parked) == ({"opened": 1}, 2)
    broken = desk.rule()
    assert broken.broken_at == clock.now()
    assert "QueryError" in str(broken.broken_reason)
    assert desk.kinds("rule:errors") == ["RuleSaved", "RuleBroken"]

    clock.advance(seconds=1)
    desk.run_due_timers()
    assert desk.parked == 2

    _spoil(desk, "level:>=ERROR")
    clock.advance(minutes=5)
    desk.run_due_timers()
    assert (desk.parked, desk.rule().broken_at) == (0, None)
    assert desk.verdicts("errors") == {"opened": 2}
    assert desk.verdicts("critical-logs") == {"opened": 1}
    assert desk.kinds("rule:errors") == ["RuleSaved", "RuleBroken", "RuleMended"]


def test_a_rule_that_stays_broken_is_waited_for_ten_minutes(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule()
    _spoil(desk, "level:")
    desk.post(error(), info())
    clock.advance(minutes=10)
    desk.run_due_timers()
    assert (desk.parked, desk.verdicts()) == (0, {"parked": 2})
    desk.post(error())
    assert (desk.parked, desk.verdicts()) == (0, {"parked": 3})

    desk.save_rule(description="saved anew")
    desk.post(error())
    assert (desk.verdicts(), desk.rule().broken_at) == ({"parked": 3, "opened": 1}, None)


def test_records_that_wait_for_a_rule_wait_no_longer_once_it_is_removed(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule()
    _spoil(desk, "level:")
    desk.post(error())
    desk.remove_rule("errors")
    clock.advance(seconds=1)
    desk.run_due_timers()

    assert (desk.parked, desk.verdicts(), desk.tickets) == (0, {}, [])


def test_rules_saved_at_once_lose_no_change(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desks = [open_desk(settings) for _ in range(1 if settings.database_secret is None else 4)]
    works = [
        lambda desk=desk, n=n: desk.save_rule(f"rule-{n % 3}", f"level:>=ERROR {n}") for n, desk in enumerate(desks * 5)
    ]
    assert not [found for found in in_threads(*works) if isinstance(found, Exception)]
    for number in range(3):
        found, _ = rule_service.versions(desks[0].database, f"rule-{number}", cursor=None, limit=100)
        numbers = [version.version for version in found]
        assert numbers == list(range(len(numbers), 0, -1))
        assert desks[0].rule(f"rule-{number}").rule.version == numbers[0]
    assert desks[0].database.read(lambda tx: len(tx.execute(rules.select()).all())) == 4


def test_a_ticket_becomes_more_urgent_with_volume_if_its_rule_says_so(desk: Desk) -> None:
    desk.save_rule(raise_at=(("P1", 100), ("P2", 10)))
    desk.post(*[error()] * 9)
    desk.roll_up()
    assert desk.ticket.priority == 3

    desk.post(error())
    desk.roll_up()
    assert desk.ticket.priority == 2

    desk.post(*[error()] * 500)
    desk.roll_up()
    desk.roll_up()
    assert desk.ticket.priority == 1
    assert [event.data["count"] for event in desk.events(kind="AlertGrew")] == [10, 510]
    assert [event.data["after"] for event in desk.events("ticket:1", "TicketPrioritised")] == ["P2", "P1"]


def test_a_priority_that_a_person_set_stays_until_the_alert_grows_further(desk: Desk) -> None:
    desk.save_rule(raise_at=(("P2", 10), ("P1", 1000)))
    desk.post(*[error()] * 10)
    desk.roll_up()
    desk.database.write(lambda tx: ticket_service.prioritise(tx, 1, Priority.P5), actor=ANA)
    desk.post(*[error()] * 10)
    desk.roll_up()

    assert desk.ticket.priority == 5


def test_an_alert_makes_the_ticket_it_joins_as_urgent_as_itself(desk: Desk) -> None:
    desk.save_rule("slow", "level:ERROR slow", correlate_by=("service",))
    desk.save_rule("down", "level:ERROR down", correlate_by=("service",), priority=Priority.P1)
    desk.post(error("it is slow"))
    desk.post(error("it is down"))

    assert desk.ticket.priority == 1
    assert desk.kinds("ticket:1") == ["TicketOpened", "AlertJoined", "TicketPrioritised"]


@pytest.mark.parametrize(
    ("raise_at", "expected"),
    [
        ((("P9", 10),), "there is no priority 'P9'"),
        ((("P3", 10),), "P3 is not more urgent than the rule's own P3"),
        ((("P1", 0),), "expected how many records"),
    ],
)
def test_what_makes_no_ticket_more_urgent_is_refused(raise_at: tuple[tuple[str, int], ...], expected: str) -> None:
    with pytest.raises(Invalid, match=expected):
        check(Rule(name="errors", version=0, condition="level:ERROR", raise_at=raise_at))
