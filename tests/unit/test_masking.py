"""Messages made alike before the miner: it sees the same kinds, and far fewer texts."""

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tocsin.alerts.masking import alike
from tocsin.alerts.skeletons import HEAD_CHARS, head_of, kind_of

WORDS = ["a", "err", "0", "12", "7f", "/a/b", "http://", "s3://x", "C:\\", "\\\\h", "x=", "==", "..", "<*>", "é", "½"]
PIECES = st.sampled_from([*WORDS, *"=: \n'\"/\\.,()[]<>|@-_\x1c\u2028"])
MESSAGES = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=30))


def kind(message: str) -> str:
    """As the miner sees a message."""
    head = message if len(message) <= HEAD_CHARS and "\n" not in message else head_of(message)
    return kind_of("".join("0" if character in "123456789" else character for character in head))


@settings(max_examples=250)
@given(st.lists(MESSAGES, min_size=1, max_size=5))
@example(['?0"\U00031350'])  # a letter since Unicode 15
def test_what_is_made_alike_is_of_the_same_kind(messages: list[str]) -> None:
    texts = alike(pl.Series(messages, dtype=pl.String)).to_list()
    assert [kind(text) for text in texts] == [kind(message) for message in messages]


def test_ids_and_numbers_make_no_difference() -> None:
    messages = [f"block blk_{n * 7919:x}0 of node {n} read in {n / 3} ms from /data/{n}/x" for n in range(1000)]
    assert alike(pl.Series(messages)).n_unique() == 1


def test_long_and_many_lined_messages_are_cut_as_the_miner_cuts_them() -> None:
    trace = "\n  Error: lost\n  at line 3\n" + "x" * 10_000
    assert alike(pl.Series([trace, "a " * 5_000])).to_list() == ["Error: lost", ("a " * 1_000).rstrip()]
