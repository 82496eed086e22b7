"""Token filters: never a wrong no; a wrong yes is rare."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs import tokens
from tocsin.query.letters import fold

WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def tokens_of(text: str) -> set[str]:
    """As the filter language takes a text apart, one character at a time."""
    found, token = set(), ""
    for character in text + " ":
        if character.isascii() and not (character.isalnum() or character == "_"):
            found.add(token)
            token = ""
        else:
            token += character
    return found - {""}


@given(st.lists(WORD, max_size=30))
def test_every_token_of_every_text_is_in(texts: list[str]) -> None:
    table = tokens.build(["\n".join(texts)])
    for text in texts:
        assert tokens.may_have(table, tokens_of(fold(text)))


@given(st.lists(WORD, max_size=10), st.lists(WORD, max_size=10))
def test_texts_in_one_piece_or_several_make_filters_that_know_the_same(one: list[str], two: list[str]) -> None:
    table = tokens.build(["\n".join(one), "\n".join(two)])
    assert tokens.may_have(table, tokens_of(fold(" ".join(one + two))))


def test_long_texts_are_taken_apart_between_lines() -> None:
    lines = [f"line {number} of host-{number % 7}" for number in range(60_000)]
    table = tokens.build(["\n".join(lines)])
    assert all(tokens.may_have(table, [str(number), "host"]) for number in range(0, 60_000, 97))


def test_a_word_that_is_nowhere_is_rarely_taken_for_one() -> None:
    rng = random.Random(1)
    table = tokens.build([" ".join(f"{rng.getrandbits(64):x}" for _ in range(50_000))])
    wrong = sum(tokens.may_have(table, [f"x{rng.getrandbits(64):x}"]) for _ in range(4_000))
    assert wrong < 4_000 * 0.03


def test_nothing_in_means_nothing_found() -> None:
    assert not tokens.may_have(tokens.build([]), ["word"])
    assert tokens.may_have(tokens.build([]), [])


def test_a_filter_of_a_later_program_rules_nothing_out() -> None:
    assert tokens.may_have(b"TB9whatever", ["word"])
