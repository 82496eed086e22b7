"""Which policy a ticket has: the most specific, by the written order; what can't be decided is a tie."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.priorities import Priority
from tocsin.tickets.policies import Policy, Traits, choose, is_about, policy_of, specificity, tie

SERVICES, TEAMS, LABELS = ("payments", "shop"), ("red", "blue"), {"tier": ("gold", "silver"), "env": ("prod",)}


def subsets(names):
    return st.sets(st.sampled_from(sorted(names))).map(lambda found: tuple(sorted(found)))


LABELLINGS = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in LABELS.items()})
POLICIES = st.builds(
    Policy,
    name=st.uuids().map(str),
    version=st.just(1),
    resolve_s=st.just(60),
    priorities=subsets(Priority),
    services=subsets(SERVICES),
    teams=subsets(TEAMS),
    labels=LABELLINGS.map(lambda found: tuple(sorted(found.items()))),
)
TICKETS = st.builds(
    Traits,
    priority=st.sampled_from(Priority),
    service=st.sampled_from((*SERVICES, "SHOP", None)),
    team=st.sampled_from((*TEAMS, None)),
    labels=LABELLINGS,
)


@given(POLICIES, POLICIES, TICKETS)
def test_two_policies_that_are_about_one_ticket_tie_or_one_is_more_specific(one, other, ticket):
    if is_about(one, ticket) and is_about(other, ticket):
        assert (tie(one, other) is None) == (specificity(one) != specificity(other))


@given(st.lists(POLICIES, max_size=6), TICKETS)
def test_without_ties_the_choice_does_not_depend_on_the_order(policies, ticket):
    kept = [p for i, p in enumerate(policies) if not any(tie(p, other) for other in policies[:i])]
    assert not any(tie(a, b) for a, b in combinations(kept, 2))
    chosen = choose(kept, ticket)
    assert chosen == choose(kept[::-1], ticket)
    assert (chosen is None) == (not any(is_about(policy, ticket) for policy in kept))


@given(POLICIES)
def test_a_policy_is_read_as_it_was_written(policy):
    assert policy_of(policy.name, policy.version, policy.definition()) == policy


def test_the_written_order_service_team_labels_priority():
    names = {
        "priority": {"priorities": (Priority.P1,)},
        "label": {"labels": (("tier", "gold"),)},
        "labels": {"labels": (("env", "prod"), ("tier", "gold"))},
        "team": {"teams": ("red",)},
        "service": {"services": ("payments",)},
        "any": {},
    }
    policies = [Policy(name, 1, resolve_s=60, **fields) for name, fields in names.items()]
    ticket = Traits(Priority.P1, "Payments", "red", {"tier": "gold", "env": "prod"})
    order = []
    while policies:
        chosen = choose(policies, ticket)
        order.append(chosen.name)
        policies.remove(chosen)
    assert order == ["service", "team", "labels", "label", "priority", "any"]


def test_a_tie_says_for_which_ticket():
    one = Policy("a", 1, priorities=(Priority.P1, Priority.P2), services=("shop",), labels=(("tier", "gold"),))
    other = Policy("b", 1, priorities=(Priority.P2,), services=("Shop", "pay"), labels=(("env", "prod"),))
    assert tie(one, other) == "a P2 ticket of service shop labelled env=prod labelled tier=gold"
    assert tie(Policy("a", 1), Policy("b", 1)) == "any ticket"
    assert tie(one, Policy("b", 1, priorities=(Priority.P3,), services=("shop",), labels=(("x", "y"),))) is None
