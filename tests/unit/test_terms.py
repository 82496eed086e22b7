"""What the index of words keeps of a text, and what a query needs of it: never more than a matching text has."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.query.parse import parse
from tocsin.query.predicate import text_matcher
from tocsin.query.terms import (
    SPANS,
    AllOf,
    Has,
    OneOf,
    all_in_one,
    any_part,
    need_of,
    needed_terms,
    span_term,
    terms_of,
    time_terms,
)
from tocsin.query.tree import Anywhere, Named, Phrase, Wildcard, Word
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.text_store import TEXTS, VALUES

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TEXT = st.text(st.sampled_from("abtiTI_09é\u212aß .-/*?\n支"), max_size=14)
LEAVES = st.one_of(
    st.builds(Word, st.just(Anywhere()), TEXT.filter(bool)),
    st.builds(Phrase, st.just(Anywhere()), TEXT),
    st.builds(Wildcard, st.just(Anywhere()), TEXT.filter(lambda text: set(text) & set("*?")), st.just(False)),
)


def needed(q: str):
    return need_of(parse(q, TICKETS, now=NOW), TEXTS, VALUES)


@given(LEAVES, TEXT, TEXT, st.booleans())
def test_a_text_that_matches_has_all_terms_that_are_needed(leaf, before, after, around) -> None:
    inside = leaf.pattern.replace("*", "tit").replace("?", "a") if isinstance(leaf, Wildcard) else leaf.text
    text = before + inside.swapcase() + after if around else inside
    if text_matcher(leaf)(text):
        assert set(needed_terms(leaf)) <= terms_of(text)


def test_what_stands_in_the_index_is_what_a_migration_has_put_there() -> None:
    """Whoever changes this makes the index anew by a migration."""
    assert terms_of("Time-OUT, É_1", source="Service Now", external_id=None) == {
        "=time", "tim", "ime", "=out", "out", "=é_1", "é_1", "source=service", "source=now",
    }  # fmt: skip
    assert terms_of("x" * 65) == {"xxx"}
    assert time_terms(20_781) == {"days256=81", "days16=1298", "days1=20781"}
    assert span_term(20_781 // SPANS[0], SPANS[0]) in time_terms(20_781)


@pytest.mark.parametrize(
    ("q", "terms"),
    [
        ("payment", ("=payment",)),
        ('"payment"', ("ent", "men", "pay")),
        ("pay*", ("pay",)),
        ('"x timed out y"', ("=timed", "=out")),
        ("10.0.0.1", ("=10", "=0", "=1")),
        ("external_id:INC-7", ("external_id=inc", "external_id=7")),
    ],
)
def test_words_are_needed_whole_and_pieces_where_they_may_be_part_of_more(q: str, terms: tuple[str, ...]) -> None:
    found = needed(q)
    assert isinstance(found, Has)
    assert found.terms == terms


@pytest.mark.parametrize("q", ["", "status:OPEN", '"ab"', "t?me", "-payment", "payment OR status:OPEN", "service:shop"])
def test_of_some_queries_nothing_is_known(q: str) -> None:
    assert needed(q) is None


def test_a_query_is_met_by_one_text_alone_or_a_part_of_it_by_a_comment() -> None:
    found = needed("title:one (two OR comment:three) status:OPEN -four")
    one, two = Has(Named("title"), ("=one",)), Has(Anywhere(), ("=two",))
    three = Has(Named("comment"), ("=three",))
    assert found == AllOf((one, OneOf((two, three))))
    assert all_in_one(found, lambda target: target != Named("comment")) == AllOf((one, two))
    assert any_part(found, lambda target: target in (Anywhere(), Named("comment"))) == OneOf((two, three))
    assert all_in_one(three, lambda target: target == Anywhere()) is None
