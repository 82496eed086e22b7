"""What applying a file comes to: decided on values alone."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import START
from tocsin.alerts.applying import (
    CHANGEABLE,
    Action,
    Asked,
    Wanted,
    Way,
    faults_of,
    id_of_name,
    left_over,
    meant_by,
    name_for,
    silence_step,
    step_of,
)
from tocsin.alerts.dependencies import rings, way
from tocsin.alerts.silence_checks import Draft, silence_of
from tocsin.alerts.silencing import Silence, State
from tocsin.kit.errors import FieldError

values = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), min_size=3)
hours = st.integers(-5, 5)
edges = st.dictionaries(st.integers(0, 6), st.sets(st.integers(0, 6), max_size=3))


@given(before=st.none() | values, after=values)
def test_a_step_says_exactly_what_differs(before: dict[str, int] | None, after: dict[str, int]) -> None:
    step = step_of("rules", "x", before, after)
    assert (step.action is Action.CREATE) == (before is None)
    assert (step.action is Action.UNCHANGED) == (before == after)
    if before is not None:
        assert before | {name: now for name, (_, now) in step.changed.items()} == after
        assert all(before[name] == was != now for name, (was, now) in step.changed.items())


@given(prune=st.booleans())
def test_what_is_left_over_goes_only_when_it_is_said(prune: bool) -> None:
    assert left_over("rules", "x", prune=prune).action is (Action.DELETE if prune else Action.KEPT)


def drafts() -> st.SearchStrategy[Draft]:
    def of(start: int, length: int, matcher: str, owner: str, reason: str) -> Draft:
        starts_at = START + timedelta(hours=start)
        return Draft(matcher, owner, reason, starts_at=starts_at, ends_at=starts_at + timedelta(hours=length))

    return st.builds(of, hours, st.integers(1, 6), st.sampled_from(["a", "b"]), st.sampled_from(["", "ana", "rui"]),
                     st.sampled_from(["x", "y"]))  # fmt: skip


def carried_out(step: Any, before: Silence | None) -> list[Silence]:
    """What there is after a step, of the name it is about."""
    found = [] if before is None else [before]
    if step.way in {Way.END, Way.REPLACE}:
        found = [replaced(before, ends_at=START)]
    if step.way is Way.EDIT:
        found = [replaced(before, **step.edits)]
    if step.way in {Way.MAKE, Way.REPLACE}:
        found.append(replaced(silence_of(step.draft, START), id=9, applied_as=step.step.name))
    return found


def replaced(silence: Silence | None, **changes: Any) -> Silence:
    return Silence(**{name: changes.get(name, getattr(silence, name)) for name in Silence.__slots__})


@given(first=st.none() | drafts(), second=drafts(), early=st.booleans())
def test_after_a_file_at_most_one_silence_of_a_name_is_not_over_and_the_file_again_changes_nothing(
    first: Draft | None, second: Draft, early: bool
) -> None:
    before = None
    if first is not None:
        made = silence_step(Wanted("x", first), None, actor="ana", now=START)
        before = next(iter(carried_out(made, None)), None)
    if before is not None and early:
        before = replaced(before, ends_at=START)
    step = silence_step(Wanted("x", second), before, actor="ana", now=START)
    after = carried_out(step, before)
    alive = [one for one in after if one.state_at(START) is not State.EXPIRED]
    assert len(alive) <= 1
    for one in alive:
        assert all(getattr(one, name) == getattr(second, name) for name in ("matcher", "starts_at", "ends_at"))
        assert one.owner == second.owner or not second.owner
    again = silence_step(Wanted("x", second), after[-1] if after else None, actor="rui", now=START)
    assert (again.way, again.step.action) == (Way.NOTHING, Action.UNCHANGED)
    if step.way is Way.EDIT:
        assert set(step.edits) <= set(CHANGEABLE)
    assert (step.step.action is Action.UNCHANGED) == (step.way is Way.NOTHING)


@given(edges)
def test_rings_are_found_if_and_only_if_there_are_any(edges: dict[int, set[int]]) -> None:
    graph = {f"s{one}": {f"s{up}" for up in ups} for one, ups in edges.items()}
    found = rings(graph)
    for ring in found:
        assert ring[0] == ring[-1]
        assert all(up in graph[one] for one, up in pairwise(ring))
    told = {one for ring in found for one in ring}
    in_rings = {one for one in graph if way(graph, one, one) is not None}
    assert told <= in_rings
    assert bool(told) == bool(in_rings)
    for one in in_rings - told:
        assert any(way(graph, one, other) is not None for other in told)


@given(st.integers(1, 10**6), st.integers(0, 3))
def test_a_name_for_a_silence_means_that_silence(number: int, zeros: int) -> None:
    silence = silence_of(Draft("a", "b", "c", duration_s=60), START)
    silence = replaced(silence, id=number)
    taken = {f"silence-{'0' * n}{number}" for n in range(zeros)}
    name = name_for(silence, taken)
    assert name not in taken
    assert id_of_name(name) == number
    wanted = Wanted(name, Draft("a", "", "c", starts_at=START))
    assert meant_by(wanted, {}, {number: silence}) == silence
    assert meant_by(wanted, {}, {number: replaced(silence, applied_as="other")}) is None


@pytest.mark.parametrize("name", ["silence-", "silence-0", "silence-x", "x-silence-1", "silence-1x"])
def test_other_names_mean_no_number(name: str) -> None:
    assert id_of_name(name) is None


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"duration_s": 60}, "/duration_s"),
        ({"duration_s": 60, "starts_at": START}, "/duration_s"),
        ({"ends_at": START}, "/starts_at"),
        ({"recurrence": "FREQ=DAILY", "duration_s": 60}, "/until"),
        ({"starts_at": START, "ends_at": START}, "/ends_at"),
        ({"starts_at": START, "ends_at": START + timedelta(days=500)}, "/ends_at"),
    ],
)
def test_a_silence_without_lasting_times_is_refused(fields: dict[str, Any], pointer: str) -> None:
    wanted = Wanted("x", Draft("a", "", "b", **fields))
    [fault] = faults_of(Asked(silences=[(4, wanted)]), START)
    assert fault == FieldError(f"/silences/4{pointer}", fault.detail)
