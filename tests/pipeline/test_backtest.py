"""A back-test tells what would have been: for a rule that was in force all the time, what really was."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from desk import PATIENCE_S, START, Desk, FakeClock, critical, error, info
from tocsin import pipeline
from tocsin.alerts import absences
from tocsin.alerts import service as alert_service
from tocsin.alerts.model import verdicts
from tocsin.alerts.overflow import overflow_of
from tocsin.alerts.rules import CONDITIONS, Kind, Rule
from tocsin.kit.clock import MICROSECOND, iso, to_us
from tocsin.kit.events import LogsStored
from tocsin.kit.priorities import Priority
from tocsin.logs.budget import Budget
from tocsin.proof.backtest import Found, Wish, run
from tocsin.proof.hushing import Hiding
from tocsin.proof.replay import Bounds
from tocsin.proof.silences_then import silences_then
from tocsin.query.parse import parse
from tocsin.settings import Settings
from tocsin.tickets.storming import NO_LIMITS, StormLimits

UTC_ZONE = ZoneInfo("UTC")
STAGES = ("hot", "segments", "both")
RULES: dict[str, dict[str, Any]] = {
    "each": {"condition": "level:>=ERROR", "auto_resolve_after_s": 20, "reopen_window_s": 15},
    "lasting": {"condition": "level:CRITICAL"},
    "by-service": {
        "condition": "level:>=ERROR OR @host:a*",
        "group_by": ("service", "@host"),
        "correlate_by": ("rule", "service"),
        "auto_resolve_after_s": 9,
        "reopen_window_s": 5,
    },
    "as-one": {
        "condition": "level:>=WARNING",
        "group_by": ("level",),
        "correlate_by": ("rule", "@host"),
        "service": "platform",
        "auto_resolve_after_s": 3,
    },
    "several": {"condition": "level:>=WARNING", "kind": Kind.THRESHOLD, "threshold": 4, "window_s": 12},
    "many": {
        "condition": "level:>=INFO",
        "kind": Kind.THRESHOLD,
        "threshold": 9,
        "window_s": 24,
        "group_by": ("@host",),
        "correlate_by": ("rule", "service"),
        "auto_resolve_after_s": 7,
        "reopen_window_s": 30,
    },
    "share": {
        "condition": "level:>=ERROR",
        "kind": Kind.RATIO,
        "ratio": 0.4,
        "minimum": 5,
        "window_s": 15,
        "group_by": ("service",),
    },
    "share-of-some": {
        "condition": "@host:a1 level:>=ERROR",
        "of": "@host:a*",
        "kind": Kind.RATIO,
        "ratio": 0.3,
        "minimum": 3,
        "window_s": 12,
        "group_by": (),
        "correlate_by": ("rule", "service"),
        "auto_resolve_after_s": 11,
    },
    "several-for": {
        "condition": "level:>=WARNING",
        "kind": Kind.THRESHOLD,
        "threshold": 2,
        "window_s": 24,
        "for_s": 5,
        "group_by": ("service",),
    },
    "share-for": {
        "condition": "level:>=WARNING",
        "kind": Kind.RATIO,
        "ratio": 0.3,
        "minimum": 2,
        "window_s": 36,
        "for_s": 4,
        "group_by": ("service",),
        "auto_resolve_after_s": 8,
    },
    "on-end": {"condition": "level:>=WARNING", "for_s": 6, "group_by": ("service",), "auto_resolve_after_s": 7},
    "on-end-lasting": {"condition": "*", "for_s": 30, "group_by": (), "correlate_by": ("rule", "service")},
    "raising": {
        "condition": "level:>=INFO",
        "group_by": ("@host",),
        "correlate_by": ("rule", "service"),
        "raise_at": (("P1", 25), ("P2", 9)),
        "auto_resolve_after_s": 25,
    },
    "new": {"condition": "level:>=INFO", "kind": Kind.NEW_PATTERN, "learn_s": 0},
    "new-later": {
        "condition": "level:>=ERROR",
        "kind": Kind.NEW_PATTERN,
        "learn_s": 60,
        "correlate_by": ("rule", "service"),
        "auto_resolve_after_s": 20,
    },
    "nothing": {"condition": "level:CRITICAL", "kind": Kind.ABSENCE, "window_s": 60},
    "no-host": {
        "condition": "*",
        "kind": Kind.ABSENCE,
        "window_s": 61,
        "group_by": ("service", "@host"),
        "correlate_by": ("rule", "service"),
        "auto_resolve_after_s": 0,
    },
}
SILENCED: dict[str, dict[str, Any]] = {
    name: RULES[name]
    for name in ("each", "lasting", "by-service", "several", "share", "on-end", "raising", "new-later", "no-host")
}


def backtest(desk: Desk, rule: Rule, *, since: datetime = START, zone: str = "UTC", **fields: Any) -> Found:
    """A rule put to everything from the start, or so long after it, until now."""
    wish = Wish(rule, since, desk.clock.now() + MICROSECOND, ZoneInfo(zone), limits=desk.limits)
    return run(desk.database, desk.reader, replace(wish, **fields), Budget(PATIENCE_S))


def draft(condition: str = "level:CRITICAL", **fields: Any) -> Rule:
    return Rule(name=fields.pop("name", "draft"), version=0, condition=condition, **fields)


def later(desk: Desk, clock: FakeClock, seconds: float) -> None:
    """Time goes by while the server is up, and at each whole second the timers are looked at."""
    end = clock.now() + timedelta(seconds=seconds)
    while (second := clock.now().replace(microsecond=0) + timedelta(seconds=1)) <= end:
        clock.advance(seconds=(second - clock.now()).total_seconds())
        absences.note_presence(desk.database)
        desk.run_due_timers()
    clock.advance(seconds=(end - clock.now()).total_seconds())


def something(chance: random.Random, now: datetime) -> dict[str, Any]:
    """A record of one of some kinds, on time, late, or ahead."""
    made = chance.choice([critical, error, error, info, info])
    number = chance.randrange(1000)
    message = chance.choice([f"request {number} failed", f"0x{number:x} is gone", f"no space on 'sd{number}'", "bye"])
    offset = chance.choice([0, 0, 0, -1, -3, -8, -30, 2])
    return made(
        message,
        level=chance.choice(["CRITICAL", "ERROR", "ERROR", "WARNING", "INFO"]),
        service=chance.choice(["shop", "mail"]),
        timestamp=iso(now + timedelta(seconds=offset)),
        attributes=chance.choice([{"host": "a1"}, {"host": "a2"}, {"host": ["a1", "b"]}, {"n": number}, {}]),
    )


def live_alerts(desk: Desk, rule: str) -> list[tuple[Any, ...]]:
    desk.roll_up()
    return sorted(
        (
            alert.first_record_id,
            alert.fingerprint,
            alert.last_record_id,
            alert.count,
            to_us(alert.opened_at),
            to_us(alert.ended_at) if alert.ended_at else None,
            to_us(alert.first_seen_at),
            to_us(alert.last_seen_at),
            alert.service,
        )
        for alert in desk.alerts
        if alert.rule == rule
    )


def replayed_alerts(found: Found) -> list[tuple[Any, ...]]:
    return sorted(
        (
            one.first_id,
            one.face.fingerprint,
            one.last_id,
            one.n,
            one.opened_at,
            one.ended_at,
            one.first_at,
            one.last_at,
            one.service,
        )
        for one in found.outcome.episodes
    )


def flapping(desk: Desk, rule: str) -> set[int]:
    """Alerts that were said to flap."""
    mine = {alert.id for alert in desk.alerts if alert.rule == rule}
    return mine & {event.data["alert_id"] for event in desk.events(kind="AlertFlapping")}


def live_tickets(desk: Desk, rule: str) -> list[tuple[Any, ...]]:
    """Each named by the record that it began with; a storm's began with several."""
    mine = [ticket for ticket in desk.tickets if ticket.opened_by == f"rule:{rule}" or not rule]
    alerts_of = {ticket.id: desk.alerts_of(ticket.id) for ticket in mine}
    first_of = {alert.id: alert.first_record_id for alert in desk.alerts}
    opened = {event.data["ticket_id"]: event.data["alert_id"] for event in desk.events(kind="TicketOpened")}
    began_with = {t.id: 0 if t.opened_by == "storm" else first_of[opened[t.id]] for t in mine}
    return sorted(
        (
            began_with[ticket.id],
            to_us(ticket.opened_at),
            ticket.service,
            ticket.reopen_count,
            to_us(ticket.resolved_at) if ticket.resolved_at else None,
            began_with[ticket.recurrence_of] if ticket.recurrence_of else None,
            len(alerts_of[ticket.id]),
            int(ticket.priority),
        )
        for ticket in mine
    )


def replayed_tickets(found: Found) -> list[tuple[Any, ...]]:
    began_with = {one.number: 0 if one.storm else one.first_id for one in found.outcome.tickets}
    return sorted(
        (
            began_with[one.number],
            one.opened_at[0],
            one.service,
            len(one.opened_at) - 1,
            one.resolved_at,
            began_with[one.recurrence_of] if one.recurrence_of else None,
            one.alerts,
            one.priority,
        )
        for one in found.outcome.tickets
    )


def story(desk: Desk, clock: FakeClock, chance: random.Random, stage: str) -> None:
    """All kinds of records come in, with breaks in between."""
    for number in range(50):
        now = clock.now()
        some = [something(chance, now) for _ in range(chance.choice([1, 1, 3, 12]))]
        desk.post(*some, backfill=chance.random() < 0.1)
        desk.roll_up()
        if stage == "both" and number == 30:
            desk.compact(records=40)
        later(desk, clock, chance.choice([0.000001, 0.3, 1, 2.5, 6, 13, 40]))
    if stage == "segments":
        desk.compact(records=60)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "stage"), list(enumerate(STAGES)))
def test_what_was_live_from_the_start_is_told_as_it_was(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock, seed: int, stage: str
) -> None:
    desk = open_desk(settings, limits=NO_LIMITS)
    desk.remove_rule("critical-logs")
    for name, fields in RULES.items():
        desk.save_rule(name, **fields)
    story(desk, clock, random.Random(seed), stage)

    for name in RULES:
        rule = desk.rule(name).rule
        found = backtest(desk, rule)
        assert live_alerts(desk, name) == replayed_alerts(found), name
        assert live_tickets(desk, name) == replayed_tickets(found), name
        verdicts = desk.verdicts(name)
        assert found.outcome.pending == verdicts.get("pending", 0), name
        assert found.backfilled == verdicts.get("backfill", 0)
        assert found.outcome.matched + found.backfilled == sum(verdicts.values())
        assert found.outcome.flapping == len(flapping(desk, name))
        assert (found.difference.gone, found.difference.new) == ([], [])
        assert found.real.pages == found.outcome.pages, name


def stored_silences(desk: Desk) -> list[Hiding]:
    """Those there were from the start until now."""
    return desk.database.read(lambda tx: silences_then(tx, START, desk.clock.now() + MICROSECOND))[0]


def a_moment(clock: FakeClock) -> None:
    """No two things happen at the same instant."""
    clock.advance(seconds=0.000001)


def hidden_live(desk: Desk, rule: str) -> dict[str, tuple[int, int]]:
    """Records, and alerts they are of, by the silence that hid them."""
    by = verdicts.c.suppressed_by
    sums = select(by, func.sum(verdicts.c.n), func.count(verdicts.c.alert_id.distinct()))
    mine = sums.where(verdicts.c.rule == rule, by.startswith("silence:")).group_by(by)
    return {row[0]: (int(row[1]), row[2]) for row in desk.database.read(lambda tx: list(tx.execute(mine)))}


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "stage"), list(enumerate(STAGES)))
def test_what_silences_hid_is_hidden_as_it_was(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock, seed: int, stage: str
) -> None:
    desk = open_desk(settings, limits=NO_LIMITS)
    desk.remove_rule("critical-logs")
    for name, fields in SILENCED.items():
        desk.save_rule(name, **fields)
    chance = random.Random(seed)
    daily = {"recurrence": "FREQ=DAILY;BYHOUR=2;BYMINUTE=23,26,29,31", "until": START + timedelta(days=9)}
    desk.silence("level:ERROR OR @host:a2", duration_s=70, starts_at=START, **daily)
    made: dict[int, Callable[[], object]] = {
        6: lambda: desk.silence("service:shop", duration_s=45),
        10: lambda: desk.silence("service:mail", duration_s=900, break_factor=1.0, baseline_n=1),
        16: lambda: desk.silence("@host:a1", duration_s=3600),
        30: lambda: desk.end_silence(4),
        34: lambda: desk.silence("*", duration_s=20),
    }
    for number in range(45):
        if number in made:
            a_moment(clock)
            made[number]()
            a_moment(clock)
        now = clock.now()
        desk.post(*[something(chance, now) for _ in range(chance.choice([1, 1, 3, 12]))])
        desk.roll_up()
        a_moment(clock)
        desk.watch_silences()
        if stage == "both" and number == 30:
            desk.compact(records=40)
        later(desk, clock, chance.choice([0.000001, 0.3, 1, 2.5, 6, 13, 40]))
    if stage == "segments":
        desk.compact(records=60)

    silences = stored_silences(desk)
    assert len(silences) == 5
    assert desk.events(kind="SilenceBroken")
    hid: set[str] = set()
    for name in SILENCED:
        found = backtest(desk, desk.rule(name).rule, silences=silences)
        assert live_alerts(desk, name) == replayed_alerts(found), name
        assert live_tickets(desk, name) == replayed_tickets(found), name
        counted = {by: (n, found.outcome.hidden_alerts[by]) for by, n in found.outcome.hidden.items()}
        assert counted == hidden_live(desk, name), name
        assert found.outcome.flapping == len(flapping(desk, name)), name
        assert found.real.pages == found.outcome.pages, name
        hid |= counted.keys()
    assert len(hid) == 5


def test_a_silence_that_is_over_hides_what_it_hid_and_is_told_of(desk: Desk, clock: FakeClock) -> None:
    desk.silence("service:payments", duration_s=1200)
    a_moment(clock)
    desk.post(critical(), critical("disk full"), critical(service="shop"))
    later(desk, clock, 3600)
    found = backtest(desk, desk.rule("critical-logs").rule, silences=stored_silences(desk))
    assert (found.outcome.alerts, found.outcome.pages, found.outcome.unheard) == (3, 1, 2)
    assert (found.outcome.hidden, found.outcome.hidden_alerts) == ({"silence:1": 2}, {"silence:1": 2})
    assert found.unsilenced is not None
    assert (found.unsilenced.pages, found.unsilenced.labelled_pages) == (3, {"silence:1": 2})
    without = backtest(desk, desk.rule("critical-logs").rule, silences=None)
    assert (without.outcome.pages, without.unsilenced, without.notes[-1][:8]) == (3, None, "Silences")


def test_what_is_missing_is_hidden_by_a_silence_of_its_service(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule("alive", "*", kind=Kind.ABSENCE, window_s=60, group_by=("service",))
    desk.post(info(), info(service="shop"))
    a_moment(clock)
    desk.silence("service:shop", duration_s=300)
    later(desk, clock, 120)
    found = backtest(desk, desk.rule("alive").rule, silences=stored_silences(desk))
    assert live_alerts(desk, "alive") == replayed_alerts(found) != []
    assert (len(desk.tickets), found.outcome.opened, found.outcome.hidden_alerts) == (1, 1, {"silence:1": 1})
    later(desk, clock, 300)
    found = backtest(desk, desk.rule("alive").rule, silences=stored_silences(desk))
    assert (len(desk.tickets), found.outcome.opened) == (2, 2)


@pytest.mark.parametrize("fields", [{}, {"for_s": 2}, {"kind": Kind.NEW_PATTERN, "learn_s": 0}])
def test_more_groups_than_are_kept_apart_are_one_alert_as_live(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock, fields: dict[str, Any]
) -> None:
    few = 4
    routes = {**pipeline.routes(NO_LIMITS), LogsStored: [partial(alert_service.apply, max_groups=few)]}
    desk = open_desk(settings, routes=routes, limits=NO_LIMITS)
    desk.remove_rule("critical-logs")
    desk.save_rule("each", "*", auto_resolve_after_s=9, **fields)
    chance = random.Random(3)
    kinds = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    for _ in range(40):
        desk.post(*[error(chance.choice(kinds), service=chance.choice(["a", "b"])) for _ in range(3)])
        later(desk, clock, chance.choice([0.5, 0.7, 1, 2, 6]))
    found = backtest(desk, desk.rule("each").rule, bounds=Bounds(windows=few, alerts=few))
    assert live_alerts(desk, "each") == replayed_alerts(found)
    assert live_tickets(desk, "each") == replayed_tickets(found)
    overflow = overflow_of("each")
    assert found.outcome.overflowed > 0 or fields.get("kind") is Kind.NEW_PATTERN
    assert sum(alert.count for alert in desk.alerts if alert.fingerprint == overflow) == sum(
        one.n for one in found.outcome.episodes if one.face.fingerprint == overflow
    )


def test_tickets_end_as_urgent_as_their_alerts_have_grown(desk: Desk, clock: FakeClock) -> None:
    for count in (1, 3, 10):
        desk.post(*[critical(service=f"s{count}") for _ in range(count)])
        clock.advance(seconds=1)
    rule = draft(priority=Priority.P3, raise_at=(("P1", 10), ("P2", 3)))
    found = backtest(desk, rule)
    assert found.outcome.priorities == {1: 1, 2: 1, 3: 1}
    assert found.outcome.raised == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("limits", [StormLimits(2, 0), StormLimits(3, 5), StormLimits(2, 4)])
def test_storms_gather_and_let_go_as_they_did(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock, seed: int, limits: StormLimits
) -> None:
    desk = open_desk(settings, limits=limits)
    desk.remove_rule("critical-logs")
    desk.save_rule("each", "level:>=ERROR", auto_resolve_after_s=400, reopen_window_s=200)
    chance = random.Random(seed)
    for number in range(30):
        if number in {4, 15}:
            a_moment(clock)
            desk.silence("alpha OR service:shop beta", duration_s=200 * number)
            a_moment(clock)
        kinds = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
        some = [
            error(chance.choice(kinds), service=chance.choice(["shop", "mail"]))
            for _ in range(chance.choice([1, 2, 5]))
        ]
        desk.post(*some)
        later(desk, clock, chance.choice([0.5, 3, 20, 70, 200]))

    found = backtest(desk, desk.rule("each").rule, silences=stored_silences(desk))
    assert len(found.outcome.hidden) == 2
    assert found.outcome.storms == len(desk.events(kind="StormBegan")) > 0
    assert live_alerts(desk, "each") == replayed_alerts(found)
    assert live_tickets(desk, "") == replayed_tickets(found)
    assert found.difference.gone == found.difference.new == []


def test_a_new_pattern_that_nobody_was_told_of_is_new_again(desk: Desk, clock: FakeClock) -> None:
    desk.remove_rule("critical-logs")
    desk.save_rule("new", "level:>=ERROR", kind=Kind.NEW_PATTERN, learn_s=0)
    a_moment(clock)
    desk.silence("service:payments", duration_s=3600)
    a_moment(clock)
    desk.post(error("disk full"))
    clock.advance(seconds=(START + timedelta(seconds=3601) - clock.now()).total_seconds())
    desk.run_due_timers()
    for _ in range(2):
        desk.post(error("disk full"))
        a_moment(clock)
    desk.resolve(desk.ticket.id)
    a_moment(clock)
    desk.post(error("disk full"))
    a_moment(clock)

    found = backtest(desk, desk.rule("new").rule, silences=stored_silences(desk))
    assert desk.verdicts() == {"suppressed": 1, "opened": 1, "counted": 1, "pending": 1}
    assert live_alerts(desk, "new") == replayed_alerts(found)
    assert live_tickets(desk, "new") == replayed_tickets(found)
    assert (found.outcome.pending, found.outcome.unheard, found.outcome.pages) == (1, 1, 1)


def test_what_people_resolved_ends_what_the_draft_has_of_it(desk: Desk, clock: FakeClock) -> None:
    desk.post(critical())
    clock.advance(minutes=5)
    desk.resolve(desk.ticket.id)
    clock.advance(hours=3)
    desk.post(critical())
    clock.advance(seconds=1)
    found = backtest(desk, desk.rule("critical-logs").rule)
    assert replayed_alerts(found) == live_alerts(desk, "critical-logs")
    assert (found.outcome.opened, found.outcome.recurrences, found.outcome.resolved) == (2, 1, 1)
    coarser = backtest(desk, replace(desk.rule("critical-logs").rule, group_by=("service",)))
    assert (coarser.outcome.opened, coarser.outcome.resolved) == (1, 0)
    assert (len(coarser.difference.kept), coarser.difference.gone) == (2, [])


def test_a_threshold_pages_less_and_says_what_would_be_gone(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule("errors", "level:ERROR", group_by=("service",))
    desk.post(error(), error(service="shop"))
    for _ in range(5):
        clock.advance(seconds=10)
        desk.post(error())
    clock.advance(seconds=1)
    changed = replace(desk.rule("errors").rule, kind=Kind.THRESHOLD, threshold=4, window_s=60)
    found = backtest(desk, changed)
    assert (found.outcome.alerts, found.outcome.pending) == (1, 4)
    assert [alert.service for alert in found.difference.gone] == ["shop"]
    assert [alert.service for alert in found.difference.kept] == ["payments"]
    assert [(one.service, one.hits) for one in found.unfinished] == [("shop", 1)]


def test_pages_are_counted_by_the_hours_and_days_of_a_zone(desk: Desk, clock: FakeClock) -> None:
    for hour in (0, 1, 21):
        desk.post(critical(f"kind {'abc'[hour % 3]}", service=f"s{hour}"))
        clock.advance(hours=hour or 1)
    found = backtest(desk, draft(), zone="Europe/Berlin")
    assert {hour: n for hour, n in enumerate(found.outcome.hours) if n} == {3: 1, 4: 1, 5: 1}
    late = backtest(desk, draft(), zone="Asia/Tokyo")
    assert {hour: n for hour, n in enumerate(late.outcome.hours) if n} == {11: 1, 12: 1, 13: 1}


def test_records_that_came_late_or_out_of_order_are_replayed_when_they_arrived(desk: Desk, clock: FakeClock) -> None:
    for day in (0, 30, 2, 400):
        desk.post(critical("it broke", timestamp=iso(clock.now() - timedelta(days=day))))
        clock.advance(minutes=10)
    desk.compact()
    found = backtest(desk, draft(auto_resolve_after_s=60))
    assert [one.first_id for one in found.outcome.episodes] == [1, 2, 3, 4][: len(found.outcome.episodes)]
    assert found.outcome.matched == 4
    assert backtest(desk, draft(), since=START + timedelta(minutes=15)).outcome.matched == 2


def test_when_the_time_is_over_it_says_up_to_where_it_got(desk: Desk, clock: FakeClock) -> None:
    for _ in range(3):
        desk.post(critical())
        clock.advance(minutes=1)
        desk.compact()
    wish = Wish(draft(), START, clock.now(), UTC_ZONE)
    found = run(desk.database, desk.reader, wish, Budget(-1))
    assert (found.partial, found.reached, found.outcome.matched) == ("time", START, 0)
    assert backtest(desk, draft()).partial is None


def test_a_damaged_segment_is_said_to_be_missing(desk: Desk, clock: FakeClock, settings: Settings) -> None:
    desk.post(critical())
    clock.advance(minutes=1)
    desk.compact()
    [path] = list(settings.segments_path.rglob("*.parquet"))
    path.write_bytes(b"no parquet")
    found = backtest(desk, draft())
    assert (found.outcome.matched, found.scanned.damaged) == (0, 1)


def hiding(name: str, matcher: str, *minutes: tuple[float, float]) -> Hiding:
    """A silence that is active from one minute of the story to another."""
    first = to_us(START)
    spans = [(first + int(start * 60_000_000), first + int(end * 60_000_000)) for start, end in minutes]
    return Hiding(name, parse(matcher, CONDITIONS, now=START), spans)


@pytest.mark.parametrize("fields", [{}, {"kind": Kind.THRESHOLD, "threshold": 1, "window_s": 600}])
def test_what_a_silence_covers_opens_no_ticket_while_it_lasts(
    desk: Desk, clock: FakeClock, fields: dict[str, Any]
) -> None:
    for _ in range(6):
        desk.post(critical(attributes={"host": "a"}), critical(service="shop", attributes={"host": ["b", "a"]}))
        clock.advance(minutes=1)
    rule = draft(**{"auto_resolve_after_s": 3600, **fields})
    silences = [hiding("silence:1", "@host:b", (0.5, 2.5), (3.5, 9)), hiding("silence:2", "service:shop", (0, 1.5))]
    found = backtest(desk, rule, silences=silences)
    assert found.outcome.hidden == {"silence:1": 4, "silence:2": 1}
    assert (found.outcome.matched, found.outcome.alerts, found.outcome.pages) == (12, 2, 2)
    [shop] = [ticket for ticket in found.outcome.tickets if ticket.service == "shop"]
    # When the second one is over, the first covers it as well; what still fires when that is over is heard.
    assert shop.opened_at == [to_us(START + timedelta(minutes=2.5))]
    assert found.unsilenced is not None
    assert (found.unsilenced.labelled, found.unsilenced.pages) == ({"silence:2": 1}, 2)


def test_what_fires_no_more_when_its_silence_is_over_was_never_heard(desk: Desk, clock: FakeClock) -> None:
    desk.post(critical())
    clock.advance(hours=1)
    found = backtest(desk, draft(), silences=[hiding("silence:1", "level:CRITICAL", (0, 30))])
    assert (found.outcome.alerts, found.outcome.unheard, found.outcome.pages) == (1, 1, 0)
