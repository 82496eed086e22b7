"""Files: what they say is brought about in one transaction; what is over, made by hand or not in them stays."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from desk import ANA, START, Desk, FakeClock, critical, in_threads
from tocsin.alerts import apply_service, declaration_service, rule_service
from tocsin.alerts.applying import Action, Asked, Step, Wanted, counts, faults_of
from tocsin.alerts.declarations import Declaration
from tocsin.alerts.rules import Rule
from tocsin.alerts.silence_checks import Draft
from tocsin.alerts.silencing import State
from tocsin.kit.errors import Conflict, Invalid
from tocsin.kit.priorities import Priority
from tocsin.settings import Settings

IN_AN_HOUR = START + timedelta(hours=1)


def rule(name: str, condition: str = "level:>=ERROR", **fields: Any) -> Rule:
    return Rule(name=name, version=0, condition=condition, **fields)


def silence(name: str = "disk", matcher: str = "service:payments", **fields: Any) -> Wanted:
    times = {} if "recurrence" in fields else {"starts_at": START, "ends_at": IN_AN_HOUR}
    return Wanted(name, Draft(matcher, fields.pop("owner", ""), fields.pop("reason", "we know"), **times | fields))


def service(name: str, *depends_on: str, **fields: Any) -> Declaration:
    return Declaration(name, depends_on=depends_on, **fields)


def asked(*entries: Rule | Wanted | Declaration, prune: bool = False, **empty: Any) -> Asked:
    """A file with these entries, each in its section; `rules=[]` for a section without any."""
    kinds = {"rules": Rule, "silences": Wanted, "services": Declaration}
    sections = {
        name: found for name, kind in kinds.items() if (found := [one for one in entries if isinstance(one, kind)])
    }
    return Asked(**{name: list(enumerate(found)) for name, found in (empty | sections).items()}, prune=prune)


def apply(desk: Desk, *entries: Any, dry_run: bool = False, usual: dict[str, int] | None = None, **more: Any) -> Any:
    """Apply a file as its route does: `section/name` -> action."""
    file = asked(*entries, **more)
    assert faults_of(file, desk.clock.now()) == []
    if dry_run:
        steps = desk.database.write(lambda tx: apply_service.rehearse(tx, file), actor=ANA)
    else:
        steps = desk.database.write(lambda tx: apply_service.apply(tx, file, usual=usual or {}), actor=ANA)
    return {f"{step.section}/{step.name}": step.action.value for step in steps}


def everything(desk: Desk) -> Any:
    """All that a file could have changed, with versions and events."""
    found = desk.database.read(lambda tx: apply_service.present(tx, ("rules", "silences", "services")))
    return found, [(event.kind, event.subject) for event in desk.events()]


def test_a_file_is_brought_about_and_the_same_again_changes_nothing(desk: Desk) -> None:
    file = (rule("errors"), rule("critical-logs", "level:CRITICAL", priority=Priority.P1), silence(),
            service("web", "db"), service("db"))  # fmt: skip
    assert apply(desk, *file) == {
        "rules/critical-logs": "change",
        "rules/errors": "create",
        "silences/disk": "create",
        "services/db": "create",
        "services/web": "create",
    }
    assert desk.rule("critical-logs").rule.version == 2
    before = everything(desk)
    assert set(apply(desk, *file).values()) == {"unchanged"}
    assert everything(desk) == before
    desk.post(critical(service="shop"), critical(service="payments"))
    assert {(ticket.service, ticket.priority) for ticket in desk.tickets} >= {("shop", Priority.P1)}
    assert {alert.service for alert in desk.alerts if alert.status == "suppressed"} == {"payments"}


def test_a_dry_run_tells_the_same_and_leaves_nothing(desk: Desk) -> None:
    file = (rule("errors"), silence(), service("web", "db"))
    before = everything(desk)
    would = apply(desk, *file, prune=True, dry_run=True)
    assert everything(desk) == before
    assert desk.rule("critical-logs").rule.enabled
    assert apply(desk, *file, prune=True) == would
    assert would["rules/critical-logs"] == "delete"


def test_what_is_not_in_the_file_is_kept_unless_it_is_pruned(desk: Desk) -> None:
    desk.declare("old")
    desk.silence("service:by-hand")
    apply(desk, silence("from-file"))
    assert apply(desk, rule("errors"), silences=[], services=[]) == {
        "rules/critical-logs": "kept",
        "rules/errors": "create",
        "silences/from-file": "kept",
        "silences/silence-1": "kept",
        "services/old": "kept",
    }
    assert apply(desk, rule("errors"), silences=[], services=[], prune=True) == {
        "rules/critical-logs": "delete",
        "rules/errors": "unchanged",
        "silences/from-file": "delete",
        "silences/silence-1": "kept",
        "services/old": "delete",
    }
    assert [row.silence.id for row, _ in desk.silences(State.ACTIVE)] == [1]


def test_a_section_that_is_absent_is_left_alone_even_when_pruning(desk: Desk) -> None:
    assert apply(desk, service("db"), prune=True) == {"services/db": "create"}
    assert desk.rule("critical-logs").rule.enabled


def test_dependencies_can_be_turned_round_in_one_file(desk: Desk) -> None:
    apply(desk, service("a", "b"), service("b", "c"), service("c"))
    assert set(apply(desk, service("a"), service("b", "a"), service("c", "b")).values()) == {"change"}
    above, _ = desk.database.read(lambda tx: declaration_service.relatives(tx, "c"))
    assert [one.name for one in above] == ["b", "a"]


def test_a_ring_with_what_is_there_already_is_named_and_nothing_is_done(desk: Desk) -> None:
    desk.declare("api", depends_on=["Web"])
    before = everything(desk)
    with pytest.raises(Invalid) as refused:
        apply(desk, rule("errors"), service("db"), service("Web", "api"))
    assert [(one.pointer, one.detail) for one in refused.value.errors] == [
        ("/services/1/depends_on", "makes a ring: Web → api → Web")
    ]
    assert everything(desk) == before


def test_a_chain_that_is_too_long_is_refused_when_all_are_there(desk: Desk) -> None:
    chain = [service(f"s{number:02}", f"s{number + 1:02}") for number in range(33)]
    with pytest.raises(Invalid, match="a chain of 33 dependencies"):
        apply(desk, *chain)
    assert len(apply(desk, *chain[1:])) == 32


def test_a_silence_is_extended_in_place_and_made_anew_when_it_covers_something_else(desk: Desk) -> None:
    apply(desk, silence())
    later = START + timedelta(hours=3)
    assert apply(desk, silence(ends_at=later, owner="rui")) == {"silences/disk": "change"}
    [(row, _)] = desk.silences()
    assert (row.silence.version, row.silence.ends_at, row.silence.owner) == (2, later, "rui")
    assert apply(desk, silence(ends_at=later)) == {"silences/disk": "unchanged"}, "an owner that is not said stays"
    assert apply(desk, silence(matcher="service:shop", ends_at=later)) == {"silences/disk": "change"}
    states = [(row.silence.matcher, row.silence.state_at(desk.clock.now())) for row, _ in desk.silences()]
    assert states == [("service:shop", State.ACTIVE), ("service:payments", State.EXPIRED)]
    assert set(apply(desk, silence(matcher="service:shop", ends_at=later)).values()) == {"unchanged"}


def test_a_silence_that_is_over_stays_over_however_often_its_file_is_applied(desk: Desk, clock: FakeClock) -> None:
    apply(desk, silence())
    desk.end_silence(1)
    assert apply(desk, silence()) == {"silences/disk": "unchanged"}, "who ended it meant it"
    clock.advance(hours=2)
    assert apply(desk, silence(), silence("never-made")) == {
        "silences/disk": "unchanged",
        "silences/never-made": "unchanged",
    }
    assert len(desk.silences()) == 1
    tonight = clock.now() + timedelta(hours=8)
    again = silence(starts_at=tonight, ends_at=tonight + timedelta(hours=1))
    assert apply(desk, again) == {"silences/disk": "create"}
    assert [row.silence.applied_as for row, _ in desk.silences()] == ["disk", "disk"]


def test_a_silence_whose_file_says_an_end_in_the_past_ends_now(desk: Desk, clock: FakeClock) -> None:
    apply(desk, silence())
    clock.advance(minutes=10)
    assert apply(desk, silence(ends_at=START + timedelta(minutes=5))) == {"silences/disk": "change"}
    [(row, _)] = desk.silences()
    assert row.silence.ends_at == clock.now()
    assert apply(desk, silence(ends_at=START + timedelta(minutes=5))) == {"silences/disk": "unchanged"}


def test_a_maintenance_window_without_a_beginning_stays_the_same_from_day_to_day(desk: Desk, clock: FakeClock) -> None:
    weekly = silence("vacuum", recurrence="FREQ=WEEKLY;BYDAY=SU;BYHOUR=2", duration_s=3600,
                     until=START + timedelta(days=60))  # fmt: skip
    apply(desk, weekly)
    clock.advance(days=3)
    assert apply(desk, weekly) == {"silences/vacuum": "unchanged"}
    clock.advance(days=90)
    assert apply(desk, weekly) == {"silences/vacuum": "unchanged"}
    assert len(desk.silences()) == 1


def test_a_silence_made_by_hand_is_adopted_by_its_number_and_only_if_it_is_that_one(desk: Desk) -> None:
    desk.silence("service:payments", ends_at=IN_AN_HOUR, reason="we know")
    other = silence("silence-1", starts_at=START - timedelta(hours=1))
    assert apply(desk, other, dry_run=True)["silences/silence-1"] == "create", "number 1 of another installation"
    assert apply(desk, silence("silence-1")) == {"silences/silence-1": "unchanged"}
    [(row, _)] = desk.silences()
    assert (row.silence.applied_as, row.silence.version) == ("silence-1", 2)
    assert apply(desk, silences=[], prune=True) == {"silences/silence-1": "delete"}


def test_a_silence_that_may_break_knows_what_was_usual(desk: Desk) -> None:
    file = asked(silence(break_factor=10.0), silence("plain"))
    need = desk.database.read(lambda tx: apply_service.breaking(tx, file, actor="ana"))
    assert [(place, one.name) for place, one in need] == [(0, "disk")]
    with pytest.raises(Conflict, match="try again"):
        apply(desk, silence(break_factor=10.0))
    apply(desk, silence(break_factor=10.0), usual={"disk": 120})
    assert desk.silences()[0][0].silence.baseline_n == 120
    assert desk.database.read(lambda tx: apply_service.breaking(tx, file, actor="ana")) == []


def test_a_rule_that_comes_again_goes_on_with_its_versions(desk: Desk) -> None:
    apply(desk, rule("errors"))
    apply(desk, rules=[], prune=True)
    apply(desk, rule("errors"))
    assert desk.rule().rule.version == 3
    assert desk.kinds("rule:errors") == ["RuleSaved", "RuleRemoved", "RuleSaved"]


def test_of_two_files_that_are_applied_at_once_one_is_wholly_in_force(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(settings) for _ in range(2 if settings.database_secret else 1)] * (
        1 if settings.database_secret else 2
    )
    files = [
        [
            *(rule(f"r{number}", priority=priority) for number in order),
            *(silence(f"s{number}", matcher=f"service:{matcher}{number}") for number in order),
            *(service(f"x{number}", *ups, team=matcher) for number, ups in zip(order, edges, strict=True)),
        ]
        for order, priority, matcher, edges in (
            (range(6), Priority.P1, "a", [[f"x{n + 1}"] for n in range(5)] + [[]]),
            (range(5, -1, -1), Priority.P2, "b", [[f"x{n - 1}"] for n in range(5, 0, -1)] + [[]]),
        )
    ]
    for _ in range(5):
        results = in_threads(*(
            lambda desk=desk, file=file: apply(desk, *file) for desk, file in zip(desks, files, strict=True)
        ))  # fmt: skip
        assert all(isinstance(result, dict) for result in results), results
        found, _ = everything(desks[0])
        made = {one.name: one.priority for one in found.rules if one.name != "critical-logs"}
        assert len(set(made.values())) == 1
        [winner] = {one.team for one in found.services}
        assert winner == {Priority.P1: "a", Priority.P2: "b"}[made["r0"]]
        assert sorted(one.applied_as or "" for one in found.silences) == [f"s{number}" for number in range(6)]
        assert {one.matcher[8] for one in found.silences} == {winner}
        for file in files:
            apply(desks[0], *file)


def test_a_file_and_single_changes_at_once_lose_nothing(desk: Desk) -> None:
    numbers = itertools.count()

    def by_hand() -> None:
        for _ in range(10):
            desk.save_rule(f"by-hand-{next(numbers)}")
            desk.silence("service:by-hand")

    def by_file() -> None:
        for number in range(10):
            apply(desk, rule("errors", description=str(number)), silence(reason=f"number {number}"), service("db"))

    assert in_threads(by_hand, by_file, by_hand) == [None] * 3
    found, _ = everything(desk)
    assert len(found.rules) == 22
    assert len(found.silences) == 21


def test_a_file_that_fails_in_the_middle_leaves_nothing_of_its_rules_and_silences(desk: Desk) -> None:
    desk.declare("api", depends_on=["web"])
    before = everything(desk)
    for dry_run in (True, False):
        with pytest.raises(Invalid):
            apply(desk, rule("errors"), silence(), service("web", "api"), dry_run=dry_run)
        assert everything(desk) == before
    desk.database.read(lambda tx: rule_service.get(tx, "critical-logs"))


def test_actions_are_counted() -> None:
    steps = [Step("rules", "a", Action.CREATE), Step("rules", "b", Action.CREATE), Step("rules", "c", Action.KEPT)]
    assert counts(steps) == {"create": 2, "change": 0, "delete": 0, "unchanged": 0, "kept": 1}
