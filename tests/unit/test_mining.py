"""The template miner: what becomes one group, that it never splits again, and that nothing makes it slow or large."""

import csv
import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.alerts import pairs, templates
from tocsin.alerts.mining import Merge, Miner
from tocsin.alerts.skeletons import Tokens, kind_of, settled, skeleton_of, text_of
from tocsin.alerts.templates import Templates

LOGHUB = Path(__file__).parents[3] / "shared" / "data" / "loghub"
NAMES = "ana bo cai dee eli fay gus hal ivy jo kim lou mia ned ola pam".split()  # noqa: SIM905

MESSAGES = st.one_of(
    st.builds("user {} logged in after {} tries".format, st.sampled_from(NAMES), st.integers(0, 99)),
    st.builds("moved {} from {} to {}".format, *[st.sampled_from(NAMES)] * 3),
    st.builds("a={} b={} c={}".format, *[st.sampled_from([*NAMES, "", "7"])] * 3),
    st.builds("{} said: {}".format, st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=6).map(" ".join)),
    st.lists(st.sampled_from([*NAMES, "7", "=", "(", ")", '"', ",", "[x]", "/tmp/x"]), max_size=9).map(" ".join),
    st.text(max_size=40),
)
STREAMS = st.lists(MESSAGES, max_size=120)


def group(messages: Sequence[str]) -> tuple[Miner, list[int]]:
    """A miner that has seen the messages, and the group of each at the end."""
    miner = Miner()
    arrived = [miner.group_of(message) for message in messages]
    return miner, [miner.find(one) for one in arrived]


def texts(messages: Sequence[str]) -> list[str]:
    miner, groups = group(messages)
    return [miner.template(one) for one in groups]


@pytest.mark.parametrize(
    ("one", "other", "template"),
    [
        ("pump 7 stopped after 12.5 s", "pump 19 stopped after 3 s", "pump <*> stopped after <*>"),
        ("no answer from 10.0.0.7:5432", "no answer from db.example.org:80", "no answer from <*>"),
        ("no answer from db.example.org", "no answer from 2001:db8:0:0:0:0:0:1", "no answer from <*>"),
        ("sent 403 bytes", "sent 1.2 KB", "sent <*>"),
        ("done in <1 sec", "done in 00:02", "done in <*>"),
        ("next run Mon Jan 5 10:00:00 UTC 2026", "next run 2026-01-05 10:00", "next run <*>"),
        ("disks sda1, sda2 are full", "disks sda1, sdb7, sdc3 are full", "disks <*> are full"),
        ("free: node-1 <up> node-2 <up>", "free: node-3 <up>", "free: <*> <up>"),
        ("can't read /var/lib/a.txt", "can't read /srv/b", "can't read <*>"),
        ("mail to ana@example.org bounced", "mail to 7 bounced", "mail to <*> bounced"),
        ("\n  spaces   and\ttabs \nsecond line", "spaces and tabs", "spaces and tabs"),
        ("7 9", "12", "<*>"),
        ("", " ", ""),
    ],
)
def test_form_alone_tells_some_variables(one: str, other: str, template: str) -> None:
    assert texts([one, other]) == [template] * 2


def test_words_are_constants_until_enough_of_them_stood_in_one_place() -> None:
    messages = [f"seat of {name} is taken by somebody else" for name in NAMES]
    assert len(set(texts(messages[:2]))) == 2
    assert set(texts(messages)) == {"seat of <*> is taken by somebody else"}


def test_names_are_recognised_sooner_where_names_are_expected() -> None:
    assert set(texts([f"session of user {name} opened" for name in NAMES[:4]])) == {"session of user <*> opened"}
    assert set(texts([f"session of [{name}] opened" for name in NAMES[:3]])) == {"session of [<*>] opened"}
    assert len(set(texts([f"session of good {name} opened" for name in NAMES[:4]]))) == 4
    assert len(set(texts([f"the new service {end}" for end in ("stopped", "started", "failed", "hung")]))) == 4


def test_a_number_and_a_word_in_one_place_are_one_variable() -> None:
    assert set(texts(["valve is at position 7", "valve is at position unknown"])) == {"valve is at position <*>"}


def test_words_that_change_together_are_variables() -> None:
    draw = random.Random(3)
    messages = [f"lent {draw.choice(NAMES)}{n * 'x'} to {draw.choice(NAMES)}{n * 'y'} until noon" for n in range(20)]
    assert texts(messages)[-1] == "lent <*> to <*> until noon"


def test_values_of_keys_are_variable_and_keys_are_not() -> None:
    sizes = [f"size={name} colour=red shape={name}" for name in NAMES[:6]]
    assert set(texts(sizes)) == {"size=<*> colour=red shape=<*>"}
    assert len(set(texts([f"setting of {name}=7" for name in NAMES]))) == len(NAMES)


def test_two_states_in_every_combination_are_variables() -> None:
    states = [f"lamp pair is {one} {other} now" for one in ("lit", "dark") for other in ("lit", "dark")]
    assert set(texts(states)) == {"lamp pair is <*> now"}


def test_few_words_in_one_place_stay_kinds_of_their_own() -> None:
    assert len(set(texts(["gate is open", "gate is shut", "gate is broken"]))) == 3


def test_a_family_that_grows_with_every_line_becomes_one() -> None:
    draw = random.Random(5)
    notes = [f"note of the cook: {' '.join(draw.choices(NAMES, k=draw.randint(3, 12)))}" for _ in range(300)]
    miner, groups = group(notes)
    assert len(set(groups)) < 10
    assert miner.template(groups[-1]) == "note of the cook: <*>"


def test_the_text_of_a_group_says_what_it_stands_for_after_merges() -> None:
    miner = Miner()
    first = miner.group_of("the red door is open")
    assert miner.template(first) == "the red door is open"
    other = miner.group_of("a blue door was opened")
    assert miner.merge(other, first)
    assert not miner.merge(first, other)
    assert miner.merges() == [Merge(first, other)]
    assert miner.template(first) == "a blue door was opened"
    assert miner.group_of("the red door is open") == other
    assert miner.lines(first) == 3


def test_merges_can_be_read_on_from_where_one_was() -> None:
    miner, _ = group([f"seat of {name} is taken" for name in NAMES])
    seen = miner.merges()
    assert len(seen) >= 2
    miner.merge(miner.group_of("something else"), miner.group_of("another thing"))
    assert miner.merges(len(seen)) == miner.merges()[len(seen) :]
    assert len(miner.merges(len(seen))) == 1


def test_an_unknown_group_is_an_error() -> None:
    with pytest.raises(IndexError):
        Miner().find(0)


@given(STREAMS)
@settings(max_examples=60, deadline=None)
def test_the_same_messages_give_the_same_groups(messages: list[str]) -> None:
    (one, groups), (other, again) = group(messages), group(messages)
    assert groups == again
    assert one.merges() == other.merges()
    assert one.dump() == other.dump()


@given(STREAMS, STREAMS, STREAMS)
@settings(max_examples=60, deadline=None)
def test_a_loaded_miner_goes_on_as_if_never_interrupted(first: list[str], second: list[str], third: list[str]) -> None:
    whole, broken = Miner(), Miner()
    given: list[int] = []
    for messages in (first, second, third):
        given += (groups := [whole.group_of(message) for message in messages])
        assert groups == [broken.group_of(message) for message in messages]
        broken = Miner.load(broken.dump())
    assert whole.merges() == broken.merges()
    assert [whole.find(one) for one in given] == [broken.find(one) for one in given]
    assert [whole.template(one) for one in given] == [broken.template(one) for one in given]


@given(STREAMS)
@settings(max_examples=60, deadline=None)
def test_merges_only_ever_join(messages: list[str]) -> None:
    miner = Miner()
    given: list[int] = []
    before: list[int] = []
    for message in messages:
        given.append(miner.group_of(message))
        after = [miner.find(one) for one in given]
        assert [miner.find(one) for one in after] == after
        assert len(set(zip(before, after, strict=False))) == len(set(before))
        before = after
    replayed = list(range(max(given, default=-1) + 1 + len(miner.merges())))
    for old, new in miner.merges():
        replayed = [new if one == old else one for one in replayed]
    assert [replayed[one] for one in given] == before


@given(MESSAGES)
def test_a_message_stays_in_its_group_when_it_comes_again(message: str) -> None:
    miner = Miner()
    assert miner.group_of(message) == miner.group_of(message) == miner.group_of(f" {message} ")


@given(STREAMS, st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_digits_make_no_difference(messages: list[str], digit: int) -> None:
    changed = ["".join(str((int(c) + digit) % 10) if c in "0123456789" else c for c in m) for m in messages]
    assert group(messages)[1] == group(changed)[1]


@given(st.text(max_size=300))
def test_any_text_has_a_short_template_on_one_line(message: str) -> None:
    [text] = texts([message])
    assert len(text) <= 2 * len(message) + 3
    assert "\n" not in text


@given(st.lists(st.sampled_from(["<*>", "a", "b", ",", ":", "(", ")", '"', "|"]), max_size=30))
def test_settling_twice_changes_nothing_for_variables(tokens: list[str]) -> None:
    once = settled(tokens)
    assert not any(once[at : at + 2] == ("<*>", "<*>") for at in range(len(once)))
    assert len(once) <= len(tokens)


def test_templates_that_differ_have_texts_that_differ() -> None:
    draw = random.Random(4)
    parts = ["a", "b", "7", *"=()'\"[],<>*:|-", "<*>", "a=", '"a b"', "can't", "->", "\N{RIGHT SINGLE QUOTATION MARK}"]
    found: dict[str, Tokens] = {}
    for _ in range(20_000):
        line = "".join(draw.choice(parts) + draw.choice(["", " "]) for _ in range(draw.randint(1, 7)))
        skeleton = skeleton_of(kind_of(line))
        assert found.setdefault(text_of(skeleton), skeleton) == skeleton


@pytest.mark.parametrize(
    "unit",
    ['"', "'", '\\"', "a@", "a.", "/", "//", "a:", ":", "0-", "f-", "1", "a1", "-", ".", "..", "$#", "http://", "x=",
     "x= ", "a=b ", "::", "%", "deadbeef", '"\\', "é", "\t ", "<*>", "(", "[", "{", "<", "()", "(a)", '"a" ', "a b ",
     "0 ", "0,", "a,", "Jan ", "0 Jan ", "a@b ", "a/b/", "to a:0 ", "<1 ", "x.y.", "\ud800", "0 MB", "\n"],
)  # fmt: skip
def test_hostile_text_takes_no_longer_than_its_length(unit: str) -> None:
    miner = Miner()
    message = unit * (100_000 // len(unit))
    started = time.process_time()
    for text in (message, message + "!", f"x {message}", message[:1_990], message[:1_991] + "z"):
        miner.group_of(text)
    assert time.process_time() - started < 0.2


def random_words(count: int, length: int, seed: int) -> list[Tokens]:
    draw = random.Random(seed)
    return [tuple(f"w{draw.randrange(10**9)}".translate(LETTERS) for _ in range(length)) for _ in range(count)]


LETTERS = str.maketrans("0123456789", "abcdefghij")


@pytest.mark.parametrize(("count", "length"), [(7_000, 3), pytest.param(1_400, 118, marks=pytest.mark.slow)])
def test_random_words_fill_no_more_than_the_room_there_is(count: int, length: int) -> None:
    learned = Templates()
    groups = {learned.group_of(skeleton) for skeleton in random_words(count, length, seed=1)}
    assert len(learned.live) <= 2 * templates.MAX_TEMPLATES
    assert learned.live_tokens == sum(map(len, learned.live)) <= 2 * templates.MAX_LIVE_TOKENS
    assert len(learned.coarse) <= templates.MAX_COARSE + 1
    assert len(groups) <= len(learned.live) + len(learned.coarse)
    assert len(learned.groups.templates) <= len(learned.live) + len(learned.coarse)
    assert sum(len(table.rows) for table in learned.columns.tables.values()) <= 2 * len(learned.live)


def test_random_pairs_fill_no_more_than_the_room_there_is() -> None:
    learned = pairs.Pairs()
    for one, two, three in random_words(2_500, 3, seed=2):
        learned.reduced((one, "=", "a", two, "=", "b", three, "=", "c"))
        learned.reduced(("k", "=", one, "l", "=", "b", "m", "=", "c"))
    assert len(learned.lines) == pairs.MAX_LINES
    assert learned.members == sum(len(line.members) for line in learned.lines.values()) <= pairs.MAX_MEMBERS


def test_a_loaded_miner_of_other_bytes_is_refused() -> None:
    with pytest.raises(ValueError):
        Miner.load(b"\x80\x80")


def accuracy(labels: Sequence[str], groups: Sequence[int]) -> float:
    """The share of lines whose group holds exactly the lines of their label."""
    per_label, per_group = Counter(labels), Counter(groups)
    both = Counter(zip(labels, groups, strict=True))
    return sum(n for (label, one), n in both.items() if per_label[label] == n == per_group[one]) / len(labels)


def test_real_logs_are_grouped_as_people_labelled_them() -> None:
    files = sorted(LOGHUB.glob("*/*_structured.csv"))
    if not files:
        pytest.skip("no labelled logs beside the project: ../shared/data/loghub")
    found: dict[str, float] = {}
    for file in files:
        with file.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
        _, groups = group([row["Content"] for row in rows])
        found[file.parent.name] = accuracy([row["EventId"] for row in rows], groups)
    assert sum(found.values()) / len(found) >= 0.95, found
