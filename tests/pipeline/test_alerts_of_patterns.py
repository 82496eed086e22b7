"""Records whose messages have one pattern share an alert, whatever differs in them; open alerts stay as they are."""

import random
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from desk import ANA, Desk, FakeClock, critical, error, in_threads
from tocsin import pipeline
from tocsin.alerts import form_store, patterns
from tocsin.alerts.forms import MAX_FORMS
from tocsin.alerts.rules import Kind
from tocsin.kit.events import AlertOpened, Recorded
from tocsin.proof.explain import RuleOnRecord, explain_record
from tocsin.settings import Settings
from tocsin.storage.database import DATABASE_FILE
from tocsin.storage.tx import Tx

NAMES = ["ana", "rui", "eva", "tom", "kim", "lea", "max", "ida", "jon", "ben", "zoe", "amy"]
LOGIN = "login of <*> failed"


def login(name: str, **fields: Any) -> dict[str, Any]:
    return critical(f"login of {name} failed", **fields)


def known_desk(desk: Desk, names: int = 8) -> Desk:
    """One that has seen so many names that what stands in their place is known to vary. Nothing of it is open."""
    desk.post(*[login(name) for name in NAMES[:names]])
    for ticket in desk.tickets:
        desk.resolve(ticket.id)
    return desk


def counts(desk: Desk) -> dict[str, int]:
    return {alert.template: alert.count for alert in desk.alerts if alert.ended_at is None}


def test_words_that_vary_are_counted_on_one_alert(desk: Desk, clock: FakeClock) -> None:
    for name in NAMES:
        desk.post(login(name))
        clock.advance(seconds=1)
    open_now = counts(desk)
    assert len(open_now) < len(NAMES)
    assert max(open_now.values()) > 5
    assert {alert.template for alert in desk.alerts} == {f"login of {name} failed" for name in NAMES[: len(open_now)]}
    desk.check_books()


def test_what_is_known_to_vary_opens_one_alert_and_one_ticket_for_all(desk: Desk, clock: FakeClock) -> None:
    known_desk(desk)
    clock.advance(days=1)
    desk.post(login("walter"))
    desk.post(login("greta"), login("walter"), login("ana"))
    desk.post(login("nobody"))
    alert = desk.alerts[-1]
    assert (alert.template, alert.pattern, alert.count) == ("login of walter failed", LOGIN, 5)
    assert counts(desk) == {"login of walter failed": 5}
    assert desk.tickets[-1].recurrence_of is not None
    desk.check_books()


def test_a_relapse_under_another_name_reopens_the_ticket(desk: Desk, clock: FakeClock) -> None:
    [ticket] = known_desk(desk).tickets
    clock.advance(minutes=1)
    desk.post(login("walter"))
    assert (desk.ticket.id, desk.ticket.status, desk.ticket.reopen_count) == (ticket.id, "OPEN", 1)


def test_an_open_alert_keeps_its_fingerprint_when_its_pattern_grows(desk: Desk) -> None:
    desk.post(login("ana"))
    before = desk.alert
    desk.post(*[login(name) for name in NAMES[1:]])
    desk.post(login("ana"), login("walter"))
    [after] = desk.alerts
    assert (after.fingerprint, after.pattern_id) == (before.fingerprint, before.pattern_id)
    assert (before.pattern, after.count) == ("login of ana failed", len(NAMES) + 2)


def test_one_pattern_has_an_alert_for_each_service_and_rule(desk: Desk) -> None:
    desk.save_rule("errors", "level:>=ERROR")
    desk.save_rule("logins", "message:login", group_by=("service", "template", "@region"))
    for service in ("shop", "payments"):
        desk.post(*[login(name, service=service, region="eu") for name in NAMES])
    desk.post(login("walter", service="shop", region="us"))
    found = sorted((alert.rule, alert.service, alert.count) for alert in desk.alerts)
    assert found == [
        ("critical-logs", "payments", 12),
        ("critical-logs", "shop", 13),
        ("errors", "payments", 12),
        ("errors", "shop", 13),
        ("logins", "payments", 12),
        ("logins", "shop", 1),
        ("logins", "shop", 12),
    ]
    assert len({alert.pattern_id for alert in desk.alerts}) == 1


def test_rules_that_group_by_other_fields_are_not_touched(desk: Desk) -> None:
    desk.save_rule("critical-logs", "level:CRITICAL", group_by=("message",))
    desk.post(*[login(name) for name in NAMES])
    assert len(desk.tickets) == len(NAMES)
    assert {alert.pattern_id for alert in desk.alerts} == {None}


def test_tickets_that_are_correlated_by_template_are_by_its_pattern(desk: Desk) -> None:
    desk.save_rule("critical-logs", "level:CRITICAL", group_by=("template", "@host"), correlate_by=("template",))
    known_desk(desk)
    desk.post(login("walter", host="a"))
    desk.post(login("greta", host="b"))
    assert len({alert.ticket_id for alert in desk.alerts if alert.ended_at is None}) == 1


def test_a_dry_run_says_opened_once_for_a_pattern(desk: Desk) -> None:
    known_desk(desk)
    desk.save_rule("critical-logs", "level:CRITICAL", dry_run=True)
    desk.post(login("walter"))
    desk.post(login("greta"), login("otto"))
    desk.post(login("walter"))
    assert desk.would("critical-logs") == {"opened": 1, "counted": 3}


def test_a_threshold_counts_a_pattern_in_one_window(desk: Desk) -> None:
    known_desk(desk)
    desk.remove_rule()
    desk.save_rule(kind=Kind.THRESHOLD, threshold=5, window_s=600)
    for name in ("walter", "greta", "otto", "paul"):
        desk.post(error(f"login of {name} failed"))
    assert [alert for alert in desk.alerts if alert.rule == "errors"] == []
    desk.post(error("login of fritz failed"), error("login of emma failed"))
    alert = desk.alerts[-1]
    assert (alert.rule, alert.count, alert.pattern) == ("errors", 2, LOGIN)
    assert desk.verdicts("errors") == {"pending": 4, "opened": 2}
    told = explained(desk, desk.logs[-1].id, "errors")
    assert told.verdict is not None
    assert told.verdict.verdict == "opened"
    assert told.window is not None
    assert told.window.hits_now == 6


def explained(desk: Desk, record_id: int, rule: str = "critical-logs") -> RuleOnRecord:
    found = explain_record(desk.database, desk.reader, record_id)
    [told] = [one for one in found.rules if one.rule == rule]
    return told


def test_explain_names_the_masked_template_and_the_pattern(desk: Desk) -> None:
    known_desk(desk)
    desk.post(login("walter"))
    desk.post(login("greta 7"))
    desk.compact()
    told = explained(desk, desk.logs[-1].id)
    assert told.group is not None
    assert told.group.template == "login of greta <*> failed"
    assert told.group.pattern == desk.alerts[-1].pattern
    assert told.verdict is not None
    assert told.verdict.fingerprint == told.group.fingerprint


def test_explain_says_why_a_record_is_on_the_alert_of_another_message(desk: Desk) -> None:
    known_desk(desk)
    desk.post(login("walter"))
    desk.post(login("greta"))
    told = explained(desk, desk.logs[-1].id)
    assert told.group is not None
    assert (told.group.template, told.group.pattern) == ("login of greta failed", LOGIN)
    assert told.why.endswith('Its message has the pattern of "login of walter failed", which the alert was opened for.')


def pattern_id(desk: Desk, template: str) -> int:
    return next(one.pattern_id for one in desk.alerts if one.pattern == template and one.pattern_id is not None)


def test_patterns_that_people_merge_share_the_next_alert(desk: Desk) -> None:
    desk.post(critical("disk full"))
    desk.post(critical("no space left on device"))
    one, other = (alert.pattern_id for alert in desk.alerts)
    desk.database.write(lambda tx: patterns.merge(tx, one or 0, other or 0), actor=ANA)
    desk.post(critical("disk full"))
    assert counts(desk) == {"disk full": 2, "no space left on device": 1}, "open alerts stay as they are"
    for ticket in desk.tickets:
        desk.resolve(ticket.id)

    desk.post(critical("no space left on device"))
    desk.post(critical("disk full"))
    assert counts(desk) == {"no space left on device": 2}
    desk.check_books()


def test_what_people_undo_is_apart_again(desk: Desk) -> None:
    desk.post(critical("disk full"))
    desk.post(critical("no space left on device"))
    one, other = (alert.pattern_id for alert in desk.alerts)
    change = desk.database.write(lambda tx: patterns.merge(tx, one or 0, other or 0), actor=ANA)
    for ticket in desk.tickets:
        desk.resolve(ticket.id)
    desk.database.write(lambda tx: patterns.undo(tx, change.id), actor=ANA)
    desk.post(critical("no space left on device"))
    desk.post(critical("disk full"))
    assert counts(desk) == {"no space left on device": 1, "disk full": 1}


def test_a_split_by_hand_gets_an_alert_of_its_own_and_stays_apart(
    desk: Desk, settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    known_desk(desk)
    desk.post(login("walter"))
    wide = pattern_id(desk, LOGIN)
    desk.database.write(lambda tx: patterns.split(tx, wide, "login of root failed"), actor=ANA)
    desk.post(login("root"))
    desk.post(login("greta"), login("root"))
    open_desk(settings).post(login("otto"), login("root"))
    assert counts(desk) == {"login of walter failed": 3, "login of root failed": 3}
    assert desk.alerts[-1].pattern == "login of root failed"
    desk.check_books()


def forms_of(desk: Desk) -> int:
    heads = desk.database.read(lambda tx: form_store.heads(tx, ["payments"]))
    return heads["payments"].forms if heads else 0


def test_beyond_the_bound_of_a_service_masking_alone_tells_messages_apart(
    sqlite_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk, chance = open_desk(sqlite_settings), random.Random(1)
    while forms_of(desk) < MAX_FORMS:
        words = ["".join(chance.choices("abcdefghij", k=6)) for _ in range(400 * 7)]
        desk.post(*[critical(" ".join(words[n : n + chance.randint(2, 7)])) for n in range(0, len(words), 7)])
    before = len(desk.alerts)
    desk.post(critical("pay attention"), critical("to what follows 7"))
    desk.post(critical("to what follows 8"))
    assert sorted((alert.count, alert.pattern) for alert in desk.alerts[before:]) == [(1, None), (2, None)]
    assert forms_of(desk) == MAX_FORMS
    desk.check_books()


WORDS = ["disk", "host", "user", "job", "ana", "rui", "eva", "tom", "kim", "lea", "max", "ida", "failed", "lost", "7"]


def random_posts(seed: int) -> list[list[dict[str, Any]]]:
    chance = random.Random(seed)
    forms = ["{} of {} failed", "cannot reach {}: {}", "{} {} broke", "lost {} after {} ms"]

    def one() -> dict[str, Any]:
        words = chance.choice(WORDS[:4]), chance.choice(WORDS)
        return critical(chance.choice(forms).format(*words), service=chance.choice(["shop", "payments"]))

    return [[one() for _ in range(chance.randint(1, 4))] for _ in range(30)]


def outcome(desk: Desk) -> list[tuple[Any, ...]]:
    return [(a.fingerprint, a.pattern, a.count, a.ended_at, a.first_seen_at) for a in desk.alerts]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_two_workers_and_restarts_group_as_one_worker_does(
    settings: Settings,
    sqlite_template: Path,
    tmp_path: Path,
    open_desk: Callable[..., Desk],
    clock: FakeClock,
    seed: int,
) -> None:
    alone_in = tmp_path / "alone"
    alone_in.mkdir()
    shutil.copy(sqlite_template, alone_in / DATABASE_FILE)
    alone = open_desk(Settings(data_dir=alone_in))
    several = [open_desk(settings), open_desk(settings)]
    chance = random.Random(-seed)
    for turn, records in enumerate(random_posts(seed)):
        if chance.random() < 0.1:
            several[chance.randrange(2)] = open_desk(settings)
        alone.post(*records)
        several[chance.randrange(2)].post(*records)
        if turn % 10 == 9:
            for desk in (alone, several[0]):
                open_now = [t.id for t in desk.tickets if t.status == "OPEN"]
                desk.resolve(open_now[turn % len(open_now)])
        clock.advance(seconds=1)
    assert outcome(alone) == outcome(several[0])
    for desk in (alone, *several):
        desk.check_books()


class Stumbles:
    """A stage that raises when it is called first."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, tx: Tx, opened: Sequence[Recorded[AlertOpened]]) -> None:
        self.times += 1
        if self.times == 1:
            raise RuntimeError("stumbled")


def test_a_worker_whose_transaction_came_to_nothing_groups_as_the_others(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    routes = {**pipeline.ROUTES, AlertOpened: (Stumbles(), *pipeline.ROUTES[AlertOpened])}
    stumbling, other = open_desk(settings, routes=routes), open_desk(settings)
    stumbling.post(login("ana"))
    assert stumbling.parked == 1
    other.post(critical("it broke"))
    for name in NAMES[1:8]:
        stumbling.post(login(name))
        other.post(login(name), critical("it broke"))
    clock.advance(minutes=5)
    stumbling.run_due_timers()

    assert stumbling.parked == 0
    open_now = counts(stumbling)
    assert (open_now["it broke"], sum(open_now.values())) == (8, 8 + 15)
    assert len(open_now) < 8
    stumbling.check_books()


def test_eight_workers_open_one_alert_for_a_pattern(
    postgres_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(postgres_settings) for _ in range(8)]
    known_desk(desks[0])
    outcomes = in_threads(
        *[partial(desk.post, login(f"u{one}"), login(f"g{one}")) for desk, one in zip(desks, "abcdefgh", strict=True)]
    )
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert list(counts(desks[0]).values()) == [16]
    desks[0].check_books()
