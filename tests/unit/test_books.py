"""The books add up: whatever the commits are and however they are parted, the whole is the same."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from desk import START
from tocsin.logs.sources import NONE, OTHERS, few
from tocsin.proof.books import Account, Found, hour_of, pages, together
from tocsin.proof.facts import Entry, Verdict

COUNTS = st.dictionaries(st.sampled_from(["a", "b", "c", OTHERS]), st.integers(1, 9), max_size=3)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    named = draw(COUNTS)
    accepted = sum(named.values()) + draw(st.integers(0, 5))
    event_id = draw(st.integers(1, 999))
    at = START + timedelta(minutes=draw(st.integers(0, 150)))
    told = draw(st.sampled_from([named, named, None]))
    one = Account(Entry(event_id, at, 1, accepted, 1, accepted, draw(st.integers(0, 3)), told, event_id))
    one.stored = draw(st.integers(0, accepted))
    one.sources = Counter({NONE: one.stored} if one.stored else {})
    for version, n in draw(st.dictionaries(st.integers(1, 2), st.integers(1, 5))).items():
        one.matched["r", version] = Found(n, 1, n)
    for version, n in draw(st.dictionaries(st.integers(1, 2), st.integers(1, 5))).items():
        one.verdicts.append(Verdict(event_id, "r", version, "f", "opened", None, n, 0, 1, n, 1))
    return one


@given(st.lists(accounts(), max_size=8), st.integers(0, 8))
def test_two_parts_of_the_books_are_the_whole(given: list[Account], cut: int) -> None:
    whole = {page.balance.hour: page for page in pages(given, expired=0)}
    parted = {page.balance.hour: page for page in pages(given[:cut], expired=0)}
    for page in pages(given[cut:], expired=0):
        hour = page.balance.hour
        parted[hour] = together(parted[hour], page) if hour in parted else page
    assert {hour: (page.balance, page.commits, page.gaps_found) for hour, page in parted.items()} == {
        hour: (page.balance, page.commits, page.gaps_found) for hour, page in whole.items()
    }
    for hour, page in whole.items():
        mine = [one for one in given if hour_of(one.entry.at) == hour]
        assert page.balance.stored == sum(one.stored for one in mine) == sum(s.stored for s in page.balance.sources)
        known = [line.accepted for line in page.balance.sources]
        if known and None not in known:
            assert sum(n or 0 for n in known) == page.balance.accepted


@given(st.dictionaries(st.text(max_size=2), st.integers(1, 99), max_size=12), st.integers(1, 5))
def test_few_sources_stand_for_all(counts: dict[str, int], most: int) -> None:
    kept = few(counts, most=most)
    assert sum(kept.values()) == sum(counts.values())
    assert len(kept) <= most + 1
    named = [n for name, n in kept.items() if name != OTHERS]
    assert all(n <= min(named) for name, n in counts.items() if name not in kept and named)


def test_up_to_as_many_records_as_were_let_go_of_unsealed_may_be_missing() -> None:
    one = Account(Entry(1, START, 1, 5, 1, 5, 0, {}, 1))
    one.stored = 2
    one.sources[NONE] = 2
    [page] = pages([one], expired=3)
    assert (page.gaps_found, page.balance.expired) == (0, 3)
    [page] = pages([one], expired=2)
    assert (page.gaps_found, page.balance.expired, page.gaps[0].matched, page.gaps[0].recorded) == (1, 0, 5, 2)
