"""Records whose messages have one pattern share an alert once its words are many; open alerts stay as they are."""

import itertools
import random
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from desk import ANA, Desk, FakeClock, critical, error, in_threads, info
from tocsin import pipeline
from tocsin.alerts import form_store, patterns
from tocsin.alerts.forms import MAX_FORMS, VALUES
from tocsin.alerts.rules import Kind
from tocsin.kit.events import AlertOpened, Recorded
from tocsin.proof.explain import RuleOnRecord, explain_record
from tocsin.settings import Settings
from tocsin.storage.database import DATABASE_FILE
from tocsin.storage.tx import Tx
from tocsin.tickets.storming import NO_LIMITS

SYLLABLES = ("ba", "do", "fe", "gi", "ku", "la", "mo", "ne", "ri", "su", "ta", "ve")
NAMES = [one + other for one, other in itertools.product(SYLLABLES, repeat=2)]
LOGIN = "login of <*> failed"


def login(name: str, **fields: Any) -> dict[str, Any]:
    return critical(f"login of {name} failed", **fields)


def known_desk(desk: Desk, names: int = VALUES, *, service: str = "payments") -> Desk:
    """One that has seen so many names in a service, by default enough to share an alert. Nothing of it is open."""
    desk.save_rule("critical-logs", "level:CRITICAL", correlate_by=("service",))
    desk.post(*[login(name, service=service) for name in NAMES[:names]])
    desk.resolve(desk.tickets[-1].id)
    desk.save_rule("critical-logs", "level:CRITICAL")
    return desk


def counts(desk: Desk) -> dict[str, int]:
    return {alert.template: alert.count for alert in desk.alerts if alert.ended_at is None}


def resolve_all(desk: Desk) -> None:
    for ticket in desk.tickets:
        if ticket.status == "OPEN":
            desk.resolve(ticket.id)


def test_words_stay_apart_until_they_are_as_many_as_values_are(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings, limits=NO_LIMITS)
    for start in range(0, VALUES - 1, 11):
        desk.post(*[login(name) for name in NAMES[start : min(start + 11, VALUES - 1)]])
    desk.post(*[login(name) for name in NAMES[: VALUES - 1]])
    assert counts(desk) == {f"login of {name} failed": 2 for name in NAMES[: VALUES - 1]}
    assert len(desk.tickets) == VALUES - 1
    assert {alert.pattern for alert in desk.alerts[6:]} == {LOGIN}, "what is known is shown"

    desk.post(*[login(name) for name in NAMES])
    assert len(desk.alerts) == VALUES - 1
    assert desk.alerts[0].count == 3 + len(NAMES) - (VALUES - 1)
    resolve_all(desk)
    desk.post(login("walter"), login("greta"))
    desk.post(login("otto"))
    assert counts(desk) == {"login of walter failed": 3}
    desk.check_books()


def test_a_batch_of_more_words_than_are_kept_apart_shares_an_alert(desk: Desk) -> None:
    names = ["".join(letters) for letters in itertools.product("abcdefghij", repeat=3)]
    desk.post(*[login(name) for name in names])
    assert counts(desk) == {"login of aaa failed": 1000}
    assert forms_of(desk) < 2 * VALUES, "there is room for other messages"
    desk.post(critical("disk full"), login("walter"))
    assert counts(desk) == {"login of aaa failed": 1001, "disk full": 1}


def test_what_is_known_to_vary_opens_one_alert_and_one_ticket_for_all(desk: Desk) -> None:
    known_desk(desk)
    desk.post(login("walter"))
    desk.post(login("greta"), login("walter"), login(NAMES[0]))
    desk.post(login("nobody"))
    alert = desk.alerts[-1]
    assert (alert.template, alert.pattern, alert.count) == ("login of walter failed", LOGIN, 5)
    assert counts(desk) == {"login of walter failed": 5}
    desk.check_books()


def test_a_relapse_under_another_name_reopens_the_ticket(desk: Desk, clock: FakeClock) -> None:
    known_desk(desk)
    desk.post(login("walter"))
    ticket = desk.tickets[-1]
    desk.resolve(ticket.id)
    clock.advance(minutes=1)
    desk.post(login("greta"))
    again = desk.tickets[-1]
    assert (again.id, again.status, again.reopen_count) == (ticket.id, "OPEN", 1)

    desk.resolve(ticket.id)
    clock.advance(days=1)
    desk.post(login("otto"))
    assert desk.tickets[-1].recurrence_of == ticket.id


def test_an_open_alert_keeps_its_fingerprint_when_its_pattern_grows(desk: Desk) -> None:
    known_desk(desk, VALUES - 2)
    desk.post(login("walter"))
    before = desk.alerts[-1]
    desk.post(login("greta"), login("otto"))
    desk.post(login("walter"), login("paul"))
    after = desk.alerts[-1]
    assert (after.id, after.fingerprint, after.pattern_id) == (before.id, before.fingerprint, before.pattern_id)
    assert counts(desk) == {"login of walter failed": 5}


def test_a_pattern_that_compaction_finds_in_other_services_gathers_nothing(desk: Desk) -> None:
    desk.post(*[login(name) for name in NAMES[:3]])
    desk.compact()
    desk.post(*[info(f"login of {name} failed", service="shop") for name in NAMES[:30]])
    desk.compact()
    resolve_all(desk)
    desk.post(*[login(name) for name in NAMES[:4]])
    assert counts(desk) == {f"login of {name} failed": 1 for name in NAMES[:4]}
    shown = desk.database.read(lambda tx: form_store.shown_as(tx, [("payments", n) for n in (1, 2, 3)]))
    assert len(set(shown.values())) == 1, "they are shown as one"


def test_one_pattern_has_an_alert_for_each_service_and_rule(desk: Desk) -> None:
    for service in ("shop", "payments"):
        known_desk(desk, service=service)
    before = len(desk.alerts)
    desk.save_rule("errors", "level:>=ERROR")
    desk.save_rule("logins", "message:login", group_by=("service", "template", "@region"))
    for service in ("shop", "payments"):
        desk.post(*[login(name, service=service, region="eu") for name in NAMES[:12]])
    desk.post(login("walter", service="shop", region="us"))
    found = sorted((alert.rule, alert.service, alert.count) for alert in desk.alerts[before:])
    assert found == [
        ("critical-logs", "payments", 12),
        ("critical-logs", "shop", 13),
        ("errors", "payments", 12),
        ("errors", "shop", 13),
        ("logins", "payments", 12),
        ("logins", "shop", 1),
        ("logins", "shop", 12),
    ]
    assert len({alert.pattern_id for alert in desk.alerts[before:]}) == 1


def test_rules_that_group_by_other_fields_are_not_touched(desk: Desk) -> None:
    desk.save_rule("critical-logs", "level:CRITICAL", group_by=("message",))
    desk.post(*[login(name) for name in NAMES[:12]])
    assert len(desk.tickets) == 12
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


def test_a_dry_run_says_opened_for_each_word_while_there_are_few(desk: Desk) -> None:
    desk.save_rule("critical-logs", "level:CRITICAL", dry_run=True)
    desk.post(*[login(name) for name in NAMES[:8]])
    desk.post(login("walter"), login(NAMES[0]))
    desk.post(login("walter"))
    assert desk.would("critical-logs") == {"opened": 9, "counted": 2}


def test_a_threshold_counts_words_apart_while_there_are_few(desk: Desk) -> None:
    known_desk(desk, 8)
    desk.remove_rule()
    desk.save_rule(kind=Kind.THRESHOLD, threshold=2, window_s=600)
    before = len(desk.alerts)
    desk.post(*[error(f"login of {name} failed") for name in ("walter", "greta", "otto", "walter")])
    desk.post(error("login of walter failed"), error("login of paul failed"))
    assert [(alert.template, alert.count) for alert in desk.alerts[before:]] == [("login of walter failed", 2)]
    assert desk.verdicts("errors") == {"pending": 4, "opened": 1, "counted": 1}


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
    resolve_all(desk)

    desk.post(critical("no space left on device"))
    desk.post(critical("disk full"))
    assert counts(desk) == {"no space left on device": 2}
    desk.check_books()


def test_what_people_undo_is_apart_again(desk: Desk) -> None:
    desk.post(critical("disk full"))
    desk.post(critical("no space left on device"))
    one, other = (alert.pattern_id for alert in desk.alerts)
    change = desk.database.write(lambda tx: patterns.merge(tx, one or 0, other or 0), actor=ANA)
    resolve_all(desk)
    desk.database.write(lambda tx: patterns.undo(tx, change.id), actor=ANA)
    desk.post(critical("no space left on device"))
    desk.post(critical("disk full"))
    assert counts(desk) == {"no space left on device": 1, "disk full": 1}


def test_what_people_merge_into_a_pattern_that_varies_shares_an_alert_with_all_of_it(desk: Desk) -> None:
    known_desk(desk, 8)
    desk.post(login("walter"), critical("who are you?"))
    wide, other = pattern_id(desk, LOGIN), pattern_id(desk, "who are you?")
    desk.database.write(lambda tx: patterns.merge(tx, other, wide), actor=ANA)
    resolve_all(desk)
    desk.post(critical("who are you?"))
    desk.post(login("greta"), login("walter"), login(NAMES[0]))
    assert counts(desk) == {"who are you?": 4}
    desk.check_books()


def test_what_people_gave_a_template_of_its_own_shares_an_alert_while_the_rest_does_not(desk: Desk) -> None:
    known_desk(desk, 8)
    desk.post(login("walter"))
    wide = pattern_id(desk, LOGIN)
    change = desk.database.write(lambda tx: patterns.split(tx, wide, "login of admin-<*> failed"), actor=ANA)
    desk.post(login("admin-ana"), login("greta"))
    desk.post(login("admin-rui"), login("admin-eva"))
    rest = {"login of walter failed": 1, "login of greta failed": 1}
    assert counts(desk) == rest | {"login of admin-ana failed": 3}
    resolve_all(desk)
    desk.database.write(lambda tx: patterns.undo(tx, change.id), actor=ANA)
    desk.post(login("admin-ana"), login("admin-rui"))
    assert counts(desk) == {"login of admin-ana failed": 1, "login of admin-rui failed": 1}
    desk.check_books()


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
    for desk in (alone, several[0]):
        known_desk(desk)
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
    other = known_desk(open_desk(settings), VALUES - 3)
    stumbling = open_desk(settings, routes=routes)
    stumbling.post(login("walter"))
    assert stumbling.parked == 1
    other.post(critical("it broke"))
    for name in ("greta", "otto", "paul", "emma", "fritz", "hanna", "willi"):
        stumbling.post(login(name))
        other.post(login(name), critical("it broke"))
    clock.advance(minutes=5)
    stumbling.run_due_timers()

    assert stumbling.parked == 0
    assert counts(stumbling) == {"it broke": 8, "login of greta failed": 13, "login of otto failed": 2}
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
