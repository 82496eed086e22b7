"""Tags, links and the priority matrix: decisions about values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.errors import Conflict, Invalid
from tocsin.kit.priorities import Priority
from tocsin.tickets.links import INVERSE, Link, check_link
from tocsin.tickets.matrix import DEFAULT, STEPS, definition_of, derived, matrix_of
from tocsin.tickets.tags import MAX_CHARS, tags_of

priorities = st.sampled_from(list(Priority))


@given(st.lists(st.text(max_size=60), max_size=60))
def test_tags_that_are_taken_are_taken_again_as_they_are(given_: list[str]) -> None:
    try:
        tags = tags_of(given_)
    except Invalid:
        return
    assert tags_of(tags) == tags == tuple(sorted(set(tags)))
    assert all(0 < len(tag) <= MAX_CHARS for tag in tags)


@given(st.fixed_dictionaries({(i, u): priorities for i in STEPS for u in STEPS}))
def test_a_matrix_is_read_as_it_was_written(matrix: dict[tuple[int, int], Priority]) -> None:
    assert matrix_of(definition_of(matrix)) == matrix


def test_more_impact_or_more_urgency_is_never_less_urgent_by_default() -> None:
    for impact in STEPS:
        for urgency in STEPS:
            here = derived(DEFAULT, impact, urgency)
            assert here is not None
            assert all(here <= DEFAULT[i, u] for i in STEPS for u in STEPS if i >= impact and u >= urgency)
    assert derived(DEFAULT, 1, None) is derived(DEFAULT, None, 1) is None


@pytest.mark.parametrize("kind", list(Link))
def test_every_kind_of_link_has_an_inverse_and_is_refused_in_both_directions(kind: Link) -> None:
    assert INVERSE[INVERSE[kind]] is kind
    for present in (kind, INVERSE[kind]):
        with pytest.raises(Conflict):
            check_link(1, kind, 2, [(present, 2)])
    check_link(1, kind, 2, [(kind, 3)])
    with pytest.raises(Invalid):
        check_link(1, kind, 1, [])
