"""Promise 4: a ticket moves along the table only, by compare-and-set."""

import threading
from functools import partial

import pytest
from starlette.testclient import TestClient

from desk import ANA, PATIENCE_S, RUI, Desk, critical, in_threads, wait_until, waiting_for_locks
from tocsin.kit.actors import Actor
from tocsin.kit.errors import Conflict, PreconditionFailed
from tocsin.storage.tx import Tx
from tocsin.tickets import service as tickets
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status, TransitionRefused


def test_the_second_of_two_people_who_edit_the_version_they_saw_is_told_so(desk: Desk) -> None:
    desk.post(critical())
    seen = desk.ticket.version
    read, may_commit = threading.Event(), threading.Event()

    def edit(tx: Tx, title: str) -> Ticket:
        return tickets.change(tx, 1, status=None, edits={"title": title}, seen_version=seen)

    def first(tx: Tx) -> Ticket:
        edited = edit(tx, "Ana's title")
        read.set()
        may_commit.wait(PATIENCE_S)
        return edited

    def commit_once_the_other_waits() -> None:
        if not desk.database.dialect.one_writer:
            wait_until(lambda: waiting_for_locks(desk.database))
        may_commit.set()

    def second() -> Ticket:
        read.wait(PATIENCE_S)
        return desk.database.write(lambda tx: edit(tx, "Rui's title"), actor=RUI)

    won, lost, _ = in_threads(
        lambda: desk.database.write(first, actor=ANA),
        second,
        lambda: read.wait(PATIENCE_S) and commit_once_the_other_waits(),
    )

    assert won.title == desk.ticket.title == "Ana's title"
    assert isinstance(lost, PreconditionFailed), lost
    assert desk.ticket.version == seen + 1
    assert desk.kinds("ticket:1") == ["TicketOpened", "TicketEdited"]


def test_of_two_people_who_move_one_ticket_at_once_one_wins_and_the_other_hears_of_a_conflict(desk: Desk) -> None:
    for number, word in enumerate(("alpha", "beta", "gamma", "delta", "epsilon", "zeta"), start=1):
        desk.post(critical(f"{word} broke"))
        moves = [partial(desk.move, number, "IN_PROGRESS", actor=actor) for actor in (ANA, RUI, Actor("local", "eva"))]
        outcomes = in_threads(*moves)
        assert sum(isinstance(outcome, Ticket) for outcome in outcomes) == 1, outcomes
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 2, outcomes
        assert desk.kinds(f"ticket:{number}") == ["TicketOpened", "TicketMoved"]


def test_over_http_one_of_two_wins_and_the_other_gets_409_or_412(api: TestClient) -> None:
    api.post("/logs", json=critical())
    etag = api.get("/tickets/1").headers["etag"]

    def move(headers: dict[str, str]) -> int:
        return api.patch("/tickets/1", json={"status": "IN_PROGRESS"}, headers=headers).status_code

    statuses = in_threads(*[partial(move, {"If-Match": etag} if number % 2 else {}) for number in range(8)])

    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 409, 412}
    events = [event["kind"] for event in api.get("/tickets/1/events").json()["items"]]
    assert events == ["TicketOpened", "TicketMoved"]


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_every_pair_of_statuses_is_moved_or_refused_as_the_table_says(
    desk: Desk, before: Status, after: Status
) -> None:
    walk = ["IN_PROGRESS", "RESOLVED", "CLOSED"]
    desk.post(critical())
    for status in walk[: list(Status).index(before)]:
        desk.move(1, status)

    seen = desk.ticket
    if list(Status).index(after) == list(Status).index(before) + 1:
        assert desk.move(1, after).status is after
    else:
        with pytest.raises(TransitionRefused):
            desk.move(1, after)
        assert desk.ticket == seen
