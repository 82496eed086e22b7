"""Forms of a service: the same list gives the same patterns, however it was read."""

from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.forms import VALUES, Apart, Form, Forms, Memory, form_of, gathers, shown_apart
from tocsin.alerts.grouping import template_of
from tocsin.alerts.regexes import regex_of

words = st.sampled_from(
    ["login", "of", "ana", "rui", "eva", "tom", "kim", "lea", "failed", "lost", "7", "=", '"x"', "a:"]
)
messages = st.lists(st.lists(words, min_size=1, max_size=5).map(" ".join), max_size=60)


def forms_of(texts: list[str]) -> list[Form]:
    return [form_of(template_of(text), text) for text in texts]


def streamed(forms: Forms, texts: list[str]) -> list[Form]:
    """Take up what teaches, as detection does; returns that."""
    taught = []
    for form in forms_of(texts):
        if forms.number_of(form) is None:
            forms.learn(form)
            taught.append(form)
    return taught


def patterns(forms: Forms, texts: list[str]) -> list[int]:
    return [0 if (number := forms.number_of(form)) is None else forms.alike(number)[0] for form in forms_of(texts)]


@given(messages, st.integers(0, 60))
def test_who_reads_the_list_in_parts_or_later_agrees_with_who_wrote_it(texts: list[str], at: int) -> None:
    writer, reader, late = Forms(), Forms(), Forms()
    taught = streamed(writer, texts)
    reader.replay(taught[:at])
    patterns(reader, texts)  # looking up teaches nothing
    reader.replay(taught[at:])
    late.replay(taught)
    assert writer.chain == reader.chain == late.chain
    assert patterns(writer, texts) == patterns(reader, texts) == patterns(late, texts)


@given(messages)
def test_a_form_that_was_seen_is_known_and_patterns_only_ever_join(texts: list[str]) -> None:
    forms = Forms()
    together: set[tuple[int, int]] = set()
    for end in range(len(texts)):
        streamed(forms, texts[end : end + 1])
        now = patterns(forms, texts[: end + 1])
        assert all(now)
        assert together <= (together := {(a, b) for a in range(end + 1) for b in range(a) if now[a] == now[b]})


@given(messages)
def test_a_lesson_tells_of_every_form_whose_pattern_changes(texts: list[str]) -> None:
    forms = Forms()
    told: dict[int, str] = {}
    for form in forms_of(texts):
        if forms.number_of(form) is None:
            told |= forms.learn(form).patterns
    alike: dict[int, set[str]] = {}
    for number, template in told.items():
        alike.setdefault(forms.alike(number)[0], set()).add(template)
    assert len(told) == len(forms)
    assert all(len(templates) == 1 for templates in alike.values())


def test_lists_that_differ_have_other_chains() -> None:
    one, other = Forms(), Forms()
    one.replay(forms_of(["disk full", "no route"]))
    other.replay(forms_of(["no route", "disk full"]))
    assert len({one.chain, other.chain, Forms().chain}) == 3


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    memory = Memory()
    for number in range(5_000):
        forms = Forms()
        forms.replay(forms_of(["disk full"]))
        memory.put(f"service-{number}", forms)
    assert len(memory.take("service-0")) == 0
    assert len(memory.take("service-4999")) == 1
    assert len(memory.take("service-4999")) == 0, "it is forgotten until it is put back"


def test_the_newest_split_that_takes_a_form_holds() -> None:
    splits = [Apart(1, 3, regex_of("login of root failed")), Apart(1, 2, regex_of("login of <*> failed"))]
    assert shown_apart("login of root failed", 1, splits) == 3
    assert shown_apart("login of ana failed", 1, splits) == 2
    assert shown_apart("login of ana lost", 1, splits) == 1
    assert shown_apart("login of root failed", 7, splits) == 7


mined = st.dictionaries(st.integers(1, 9), st.integers(1, 2 * VALUES), min_size=1)


@given(mined, st.booleans())
def test_forms_share_an_alert_when_they_are_as_many_as_values_are_or_people_say_so(
    forms: dict[int, int], apart: bool
) -> None:
    by_hand = apart or len(forms) > 1
    assert gathers(forms, apart=apart) == (by_hand or sum(forms.values()) >= VALUES)


@given(mined, st.integers(1, 9), st.integers(1, VALUES))
def test_what_shares_an_alert_does_so_with_more_forms_too(forms: dict[int, int], pattern: int, more: int) -> None:
    grown = forms | {pattern: forms.get(pattern, 0) + more}
    assert gathers(grown) >= gathers(forms)


def test_a_single_form_and_none_share_nothing() -> None:
    assert not gathers({})
    assert not gathers({1: 1})


def test_a_pattern_teaches_until_its_forms_are_as_many_as_values_are() -> None:
    forms = Forms()
    names = [one + other for one in "abcdefghijkl" for other in "mnopqrstuvwx"]
    taught = 0
    for form in forms_of([f"login of {name} failed" for name in names]):
        assert forms.teaches(form) == (taught < VALUES)
        if forms.teaches(form):
            forms.learn(form)
            taught += 1
        assert not forms.teaches(form)
        assert forms.number_of(form) is not None
    assert len(forms) == VALUES
    assert all(forms.teaches(form) for form in forms_of(["disk full", "no route to host"]))
