"""The one transition table, over all pairs of statuses."""

import itertools

import pytest

from tocsin.kit.errors import Conflict
from tocsin.tickets.workflow import (
    EDITABLE,
    REOPENABLE,
    TRANSITIONS,
    Status,
    TransitionRefused,
    allowed,
    check_edit,
    check_move,
    check_reopen,
    mermaid,
)

LEGAL = {("OPEN", "IN_PROGRESS"), ("IN_PROGRESS", "RESOLVED"), ("RESOLVED", "CLOSED")}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Status, Status)))
def test_every_pair_is_legal_or_refused_with_the_allowed_moves(before: Status, after: Status) -> None:
    if (before.value, after.value) in LEGAL:
        check_move(before, after)
        assert after in allowed(before)
        return
    with pytest.raises(TransitionRefused) as refused:
        check_move(before, after)
    assert refused.value.allowed == allowed(before)
    assert after not in allowed(before)
    assert before.value in str(refused.value)


@pytest.mark.parametrize("status", Status)
def test_only_resolved_tickets_are_reopened_and_closed_ones_are_final(status: Status) -> None:
    if status is REOPENABLE:
        check_reopen(status)
    else:
        with pytest.raises(TransitionRefused):
            check_reopen(status)
    if status is Status.CLOSED:
        assert status not in EDITABLE
        with pytest.raises(Conflict):
            check_edit(status)
    else:
        check_edit(status)


def test_every_status_is_reached_and_closed_is_the_only_end() -> None:
    reached = {after for moves in TRANSITIONS.values() for after in moves}
    assert reached | {Status.OPEN} == set(Status) == set(TRANSITIONS)
    assert [status for status in Status if not TRANSITIONS[status]] == [Status.CLOSED]


def test_the_diagram_has_every_move_of_the_table() -> None:
    drawn = mermaid()
    for before, after in LEGAL:
        assert f"{before} --> {after}\n" in drawn
    assert drawn.count("-->") == len(LEGAL) + 9
