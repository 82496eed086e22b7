"""What depends on what: against everything that can be walked, step by step."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.declarations import Declaration, name_fault, tidied
from tocsin.alerts.dependencies import Edges, depths, steps_from, turned, way
from tocsin.kit.errors import Invalid

NODES = "abcdefg"
GRAPHS = st.dictionaries(st.sampled_from(NODES), st.sets(st.sampled_from(NODES), max_size=4))
# Only towards names that come later: without a ring.
RINGLESS = GRAPHS.map(lambda edges: {one: {up for up in ups if up > one} for one, ups in edges.items()})


def walks(edges: Edges, start: str) -> list[list[str]]:
    """Every walk from a service that passes no other one twice, and may end where it began; also that of no step."""
    found, growing = [[start]], [[start]]
    while growing:
        walk = growing.pop()
        for upstream in edges.get(walk[-1], ()):
            if upstream not in walk[1:] and (len(walk) == 1 or walk[-1] != start):
                found.append([*walk, upstream])
                growing.append([*walk, upstream])
    return found


@given(edges=GRAPHS, start=st.sampled_from(NODES), end=st.sampled_from(NODES))
def test_the_way_is_the_shortest_walk_there_is(edges: Edges, start: str, end: str) -> None:
    there = [walk for walk in walks(edges, start) if walk[-1] == end and len(walk) > 1]
    found = way(edges, start, end)
    if not there:
        assert found is None
        return
    assert found is not None
    assert len(found) == min(len(walk) for walk in there)
    assert (found[0], found[-1]) == (start, end)
    assert all(upstream in edges[one] for one, upstream in pairwise(found))


@given(edges=GRAPHS, start=st.sampled_from(NODES))
def test_steps_are_those_of_the_shortest_walk_in_either_direction(edges: Edges, start: str) -> None:
    for graph in (edges, turned(edges)):
        lengths: dict[str, int] = {}
        for walk in walks(graph, start):
            if walk[-1] != start:
                lengths[walk[-1]] = min(len(walk) - 1, lengths.get(walk[-1], len(NODES)))
        assert steps_from(graph, start) == lengths


@given(edges=RINGLESS)
def test_chains_are_as_long_as_the_longest_walk_and_nothing_is_as_deep_as_what_depends_on_it(edges: Edges) -> None:
    depth = depths(edges)
    for one in NODES:
        assert depth.get(one, 0) == max(len(walk) - 1 for walk in walks(edges, one))
        assert way(edges, one, one) is None
    assert all(depth[up] < depth[one] for one, ups in edges.items() for up in ups)


@given(edges=GRAPHS)
def test_a_ring_that_should_not_be_there_hangs_nobody(edges: Edges) -> None:
    assert all(0 <= depth <= len(NODES) for depth in depths(edges).values())


@given(edges=GRAPHS)
def test_turning_twice_changes_nothing(edges: Edges) -> None:
    assert turned(turned(edges)) == {one: set(ups) for one, ups in edges.items() if ups}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": " a"}, "name: expected 1 to 256 printable characters"),
        ({"name": "a/../b"}, "name: holds an empty part"),
        ({"name": "a/Dependencies"}, "name: can't end with /dependencies"),
        ({"depends_on": ("b", "B")}, "depends_on: 'b' is named twice"),
        ({"depends_on": ("A",)}, "depends_on: a service can't depend on itself"),
        ({"depends_on": ("b\n",)}, "depends_on: 'b\\n': expected 1 to 256"),
        ({"depends_on": tuple(f"s{n}" for n in range(101))}, "depends_on: has 101 names; expected at most 100"),
        ({"tier": 6}, "tier: expected 1 (matters most) to 5"),
        ({"runbook_url": "wiki"}, "runbook_url: expected an http(s) address"),
    ],
)
def test_what_can_not_be_declared_is_named(fields: dict[str, object], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        tidied(Declaration(**{"name": "a", **fields}))  # type: ignore[arg-type]
    assert told in str(refused.value)


def test_names_may_hold_slashes_and_what_is_depended_on_is_put_in_order() -> None:
    assert name_fault("team/Paiements é") is None
    assert tidied(Declaration("a", depends_on=("z", "B", "c"))).depends_on == ("B", "c", "z")
