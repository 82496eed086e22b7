"""Promise 3: one open alert per fingerprint and one open ticket per key, exact counts, under any concurrency."""

import itertools
import random
import string
from collections.abc import Callable
from functools import partial

import pytest

from desk import PATIENCE_S, Desk, critical, in_threads, info
from tocsin.kit.errors import Conflict
from tocsin.logs.intake import Stored
from tocsin.settings import Settings
from tocsin.tickets.storming import NO_LIMITS
from tocsin.tickets.workflow import Status

# Letters only: digits would be masked, and all of them one kind.
KINDS = ["".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=3)]


def test_64_clients_that_post_the_same_critical_message_at_once_get_one_ticket_with_the_exact_count(desk: Desk) -> None:
    outcomes = in_threads(*[partial(desk.post, critical()) for _ in range(64)])

    assert all(isinstance(outcome, Stored) for outcome in outcomes), outcomes
    assert desk.alert.count == len(desk.logs) == 64
    assert desk.ticket.version == 1
    assert sum(desk.verdicts().values()) == 64
    assert len(desk.events(kind="AlertOpened")) == len(desk.events(kind="TicketOpened")) == 1
    desk.check_books()


@pytest.mark.parametrize("kinds", [50, 1000])
def test_eight_workers_in_a_storm_on_one_postgresql_count_exactly_and_no_sender_hears_an_error(
    postgres_settings: Settings, open_desk: Callable[..., Desk], kinds: int
) -> None:
    workers, rounds = 8, 6 if kinds == 50 else 2
    desks = [open_desk(postgres_settings, limits=NO_LIMITS) for _ in range(workers)]

    def storm(desk: Desk, seed: int) -> None:
        shuffled = random.Random(seed)
        for _ in range(rounds):
            order = shuffled.sample(KINDS[:kinds], kinds)
            half = kinds // 2
            posts = [
                desk.start_post(*[critical("it broke", service=word) for word in part])
                for part in (order[:half], order[half:])
            ]
            for post in posts:
                outcome = post.result(PATIENCE_S)
                if isinstance(outcome, Exception):
                    raise outcome

    outcomes = in_threads(*[partial(storm, desk, seed) for seed, desk in enumerate(desks)])

    assert outcomes == [None] * workers
    seen = desks[0]
    assert seen.parked == 0
    assert len(seen.alerts) == len(seen.tickets) == kinds
    assert {alert.count for alert in seen.alerts} == {workers * rounds}
    for desk in desks[:2]:
        desk.roll_up()
    assert {alert.count for alert in seen.alerts} == {workers * rounds}
    seen.check_books()


def test_resolving_in_the_middle_of_a_storm_neither_doubles_a_ticket_nor_loses_a_count(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    workers = 1 if settings.database_secret is None else 4
    desks = [open_desk(settings) for _ in range(workers)]
    desks[0].post(*[critical("it broke", service=word) for word in KINDS[:8]])

    def storm(desk: Desk, seed: int) -> None:
        shuffled = random.Random(seed)
        for _ in range(40):
            desk.post(*[critical("it broke", service=word) for word in shuffled.sample(KINDS[:8], 4)])

    def resolve_all(desk: Desk) -> int:
        resolved = 0
        for _ in range(15):
            for ticket in desk.tickets:
                if ticket.status is Status.OPEN:
                    try:
                        desk.resolve(ticket.id)
                    except Conflict:
                        continue
                    resolved += 1
        return resolved

    *outcomes, resolved = in_threads(
        *[partial(storm, desk, seed) for seed, desk in enumerate(desks)], partial(resolve_all, desks[0])
    )

    assert outcomes == [None] * workers
    assert isinstance(resolved, int), resolved
    assert resolved > 8, "nothing was reopened while the storm went on"
    assert desks[0].parked == 0
    assert len(desks[0].logs) == 8 + workers * 160
    desks[0].check_books()


def test_two_postgresql_workers_that_see_a_new_kind_at_the_same_moment_open_one_ticket(
    postgres_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(postgres_settings, limits=NO_LIMITS) for _ in range(2)]

    for word in KINDS[:40]:
        outcomes = in_threads(*[partial(desk.post, critical(f"{word} broke"), info()) for desk in desks])
        assert all(isinstance(outcome, Stored) for outcome in outcomes), outcomes

    assert len(desks[0].tickets) == 40
    assert {alert.count for alert in desks[0].alerts} == {2}
    assert [kind for ticket in desks[0].tickets for kind in desks[0].kinds(f"ticket:{ticket.id}")] == [
        "TicketOpened"
    ] * 40
    desks[0].check_books()
