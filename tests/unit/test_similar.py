"""How similar tickets are: what counts, and that it never counts against."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tocsin.tickets.similar import Kin, Rarity, Why, likeness, ranked, title_words

WORDS = st.frozensets(st.sampled_from(["disk", "full", "checkout", "blank", "node", "pool"]), max_size=5)
KIN = st.builds(
    Kin,
    st.integers(2, 99),
    WORDS,
    st.sampled_from([None, "shop", "mail"]),
    st.sampled_from(["ana", "rule:errors", "rule:critical-logs"]),
    st.dictionaries(st.sampled_from(["f1", "f2", "f3"]), st.sampled_from(["t1", "t2"]), max_size=2),
    st.booleans(),
)
RARITY = st.builds(
    Rarity, st.integers(0, 50), st.dictionaries(st.sampled_from(["disk", "full", "pool"]), st.integers(0, 60))
)


@given(KIN, KIN, RARITY, st.sampled_from(["disk", "pool"]))
def test_the_more_two_have_in_common_the_more_alike_they_are(mine: Kin, other: Kin, rarity: Rarity, word: str) -> None:
    found = likeness(mine, other, rarity)
    assert 0 <= found.score <= likeness(mine, mine, rarity).score <= 1
    assert (found.score > 0) == bool(found.reasons) or set(found.reasons) == {Why.WORDS}  # rounded to nothing
    assert found == likeness(mine, replace(other, id=1, is_over=not other.is_over), rarity)
    for nearer in (
        replace(other, service=mine.service),
        replace(other, opened_by=mine.opened_by),
        replace(other, fingerprints={**other.fingerprints, **mine.fingerprints}),
        replace(other, words=other.words - (other.words - mine.words)),
    ):
        assert likeness(mine, nearer, rarity).score >= found.score
    if word not in mine.words:
        assert likeness(mine, replace(other, words=other.words | {word}), rarity).score <= found.score


@given(KIN, st.lists(KIN, max_size=8), RARITY, st.integers(1, 5))
def test_what_is_over_comes_first_then_what_is_most_alike(
    mine: Kin, others: list[Kin], rarity: Rarity, limit: int
) -> None:
    by_id = {other.id: other for other in others}
    found = ranked(mine, by_id.values(), rarity, limit=limit)
    order = [(not by_id[other].is_over, -like.score, -other) for other, like in found]
    assert order == sorted(order)
    assert len(found) <= limit
    assert mine.id not in dict(found)
    assert all({Why.FINGERPRINT, Why.TEMPLATE, Why.WORDS} & like.reasons.keys() for _, like in found)


def test_a_word_that_few_have_says_more_than_one_that_all_have() -> None:
    rarity = Rarity(1000, {"ledger": 3})
    mine = Kin(1, title_words("Incident 7 in ledger 12"))
    assert mine.words == {"incident", "in", "ledger"}
    rare, common = Kin(2, frozenset({"ledger"})), Kin(3, frozenset({"incident"}))
    assert [other for other, _ in ranked(mine, [common, rare], rarity, limit=5)] == [2, 3]
    assert likeness(mine, rare, rarity).reasons == {Why.WORDS: "ledger"}
