"""Which alert follows from which: against a look at every pair, and that each way ends at an alert with a ticket."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.dependencies import depths, steps_from
from tocsin.kit.priorities import Priority
from tocsin.tickets.inhibition import Cause, Firing, causes, root_of

NODES = "abcdef"
# Only towards names that come later: without a ring.
EDGES = st.dictionaries(st.sampled_from(NODES), st.sets(st.sampled_from(NODES), max_size=3)).map(
    lambda edges: {one: {up for up in ups if up > one} for one, ups in edges.items()}
)
ALERTS = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from([1, 2, 3, 4, 5])), max_size=7)
CHAIN = {"web": {"api"}, "api": {"db"}, "db": {"disk"}}


def numbered(pairs: list[tuple[str, int]], first: int) -> list[Firing]:
    return [Firing(first + n, service, priority) for n, (service, priority) in enumerate(pairs)]


@given(edges=EDGES, firing=ALERTS, wanting=ALERTS)
def test_each_follows_from_the_nearest_most_urgent_oldest_of_all_that_fire_upstream(
    edges: dict[str, set[str]], firing: list[tuple[str, int]], wanting: list[tuple[str, int]]
) -> None:
    before, new = numbered(firing, 1), numbered(wanting, 100)
    found = causes(new, before, edges)
    of = {one.alert_id: one for one in before + new}

    def priority(alert_id: int) -> int:
        own = of[alert_id].priority
        return own if alert_id not in found else min(own, priority(found[alert_id].alert_id))

    for one in new:
        steps = steps_from(edges, one.service)
        upstream = [
            (steps[other.service], priority(other.alert_id), other.alert_id)
            for other in before + new
            if other.service in steps and priority(other.alert_id) <= Priority.P3
        ]
        cause = found.get(one.alert_id)
        assert (cause is None) == (not upstream)
        if cause is not None:
            assert cause.alert_id == min(upstream)[2]
            assert (cause.way[0], cause.way[-1]) == (one.service, of[cause.alert_id].service)
            assert all(up in edges[service] for service, up in pairwise(cause.way))


@given(edges=EDGES, firing=ALERTS, wanting=ALERTS)
def test_every_way_ends_upstream_at_an_alert_that_follows_from_none_and_the_order_makes_no_difference(
    edges: dict[str, set[str]], firing: list[tuple[str, int]], wanting: list[tuple[str, int]]
) -> None:
    before, new = numbered(firing, 1), numbered(wanting, 100)
    found = causes(new, before, edges)
    service_of = {one.alert_id: one.service for one in before + new}
    depth = depths(edges)
    for alert_id in found:
        root = root_of(alert_id, found)
        assert root not in found
        assert depth.get(service_of[root], 0) < depth[service_of[alert_id]]
    assert causes(new[::-1], before[::-1], edges) == found


def test_a_chain_that_fails_at_once_has_one_root() -> None:
    web, api, db = Firing(1, "web", 1), Firing(2, "api", 3), Firing(3, "db", 2)
    found = causes([web, api, db], [], CHAIN)
    assert found == {2: Cause(3, ("api", "db")), 1: Cause(2, ("web", "api"))}
    assert root_of(1, found) == 3


def test_a_failing_dependant_explains_nothing_upstream() -> None:
    assert causes([Firing(2, "db", 2)], [Firing(1, "web", 1)], CHAIN) == {}


def test_what_is_hardly_urgent_explains_nothing() -> None:
    assert causes([Firing(2, "web", 1)], [Firing(1, "db", 4)], CHAIN) == {}


def test_what_explains_a_ticket_explains_all_of_its_services() -> None:
    both = Firing(2, "web", 1, beside=("mail",))
    assert causes([both], [Firing(1, "db", 2)], CHAIN) == {}
    assert causes([both], [Firing(1, "db", 2)], {**CHAIN, "mail": {"db"}}) == {2: Cause(1, ("web", "api", "db"))}
