"""Templates that people write: what they are made of, what they say, and that none hangs or reads anything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.notify.templates import MAX_OUTPUT, Compiled, TemplateWrong

VALUES: dict[str, Any] = {
    "title": "db <lost>",
    "n": 3,
    "nothing": None,
    "ticket": {"id": 7, "priority": "P1", "tags": ["a", "b"]},
    "items": [{"name": "x"}, {"name": "y"}],
    "long": "x" * 60_000,
    "at": "2026-11-24T02:21:00Z",
    "hostile": "{{ ticket }} {% for x in y %}",
}


def said(source: str, **how: Any) -> str:
    return Compiled(source, known=VALUES, **how).text(VALUES)


def wrong(source: str, **how: Any) -> TemplateWrong:
    with pytest.raises(TemplateWrong) as found:
        said(source, **how)
    return found.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ title }}", "db <lost>"),
        ("{{ ticket.id }} {{ ticket['priority'] }}", "7 P1"),
        ("{% for one in items %}{{ loop.index }}{{ one.name }}{% if not loop.last %},{% endif %}{% endfor %}", "1x,2y"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("{% if ticket.priority in ['P1', 'P2'] %}wake{% else %}wait{% endif %}", "wake"),
        ("{% set a = title ~ '!' ~ n %}{{ a }}", "db <lost>!3"),
        ("{{ n * 2 + 1 }} {{ -n }} {{ n / 2 }}", "7 -3 1.5"),
        ("{{ ticket.tags|join('+') }} {{ ticket.tags }} {{ ticket.tags|length }}", 'a+b ["a", "b"] 2'),
        ("{{ at|time }} {{ at|time('Europe/Lisbon', 'day') }}", "02:21 UTC 2026-11-24 02:21 WET"),
        ("{{ 3700|duration }} {{ 12345|number }}", "1 h 1 min 12,345"),
        ("{{ nothing }}|{{ nothing|default('-') }}|{{ ticket.none|default('-') }}", "|-|-"),
        ("{{ ticket.runbook }}{{ ticket.a.b }}{% if ticket.runbook %}never{% endif %}", "[no runbook][no b]"),
        ("{{ hostile }}", "{{ ticket }} {% for x in y %}"),
        ("{{ 'a' if n > 2 }}{{ 'b' if n > 3 }}", "a"),
        ("{% with a = n %}{{ a }}{% endwith %}", "3"),
        ("{{ title[:2] }}{{ items[0].name }}{{ items[9].name }}", "dbx[no name]"),
    ],
)
def test_a_template_says(source: str, expected: str) -> None:
    assert said(source) == expected


def test_html_is_escaped_and_nothing_turns_that_off() -> None:
    assert said("<b>{{ title }}</b>{{ title|upper }}{{ title ~ n }}{{ ticket.tags }}", html=True) == (
        "<b>db &lt;lost&gt;</b>DB &lt;LOST&gt;db &lt;lost&gt;3[&#34;a&#34;, &#34;b&#34;]"
    )
    assert "no filter 'safe'" in wrong("{{ title|safe }}", html=True).detail


def test_a_value_stays_what_it_is() -> None:
    assert Compiled("{{ ticket.tags }}", known=VALUES, as_value=True).value(VALUES) == ["a", "b"]
    assert Compiled("{{ n + 1 }}", known=VALUES, as_value=True).value(VALUES) == 4
    assert Compiled("{{ ticket.none }}", known=VALUES, as_value=True).value(VALUES) is None
    assert Compiled("n is {{ n }}", known=VALUES, as_value=True).value(VALUES) == "n is 3"
    assert Compiled("{{ title ~ '' }}", known=VALUES, as_value=True).value(VALUES) == "db <lost>"


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a\n{{ ticekt.id }}", 2, "'ticekt' is not known; there are at, hostile"),
        ("a\nb\n{% if %}", 3, "Expected an expression"),
        ("{{ title", 1, "unexpected end"),
        ("a\n{{ title.upper() }}", 2, "calls nothing"),
        ("{{ title|shout }}", 1, "no filter 'shout'"),
        ("x\n{{ n / 0 }}", 2, "division by zero"),
        ("x\n\n{{ title + n }}", 3, "join texts with ~"),
        ("{{ title|round }}", 1, "is no number"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(source: str, line: int, words: str) -> None:
    found = wrong(source)
    assert (found.line, words in found.detail) == (line, True), str(found)


ESCAPES = [
    "{{ title.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ title|attr('__class__') }}",
    "{{ items.__init__.__globals__ }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ loop }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call title() %}{% endcall %}",
    "{{ lipsum(n=1000000) }}",
    "{{ namespace() }}",
    "{{ '{0.__class__}'.format(n) }}",
    "{{ '%s' % title }}",
    "{{ items|map('upper') }}",
    "{{ joiner }}",
    "{% block x %}{% endblock %}",
    "{% autoescape false %}{{ title }}{% endautoescape %}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_is_read_that_was_not_given(source: str) -> None:
    try:
        shown = said(source)
    except TemplateWrong:
        return
    assert shown.startswith("[no "), shown


ENDLESS = [
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for i in range(999) %}{% for j in range(999) %}{% for k in range(999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in range(1000) %}{{ long }}{% endfor %}",
    "{% for i in range(1000) %}" + "{{ long|upper|lower|trim }}" * 50 + "{% endfor %}",
    "{% set a = long %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{% set a = long %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% set a %}" + "{{ long }}" * 10 + "{% endset %}{{ a }}",
    "{% set a = [title] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}",
    "{{ 'x' * 1000000000 }}",
    "{{ long * n }}",
    "{{ 10**10**10 }}",
    "{% set a = 1000000 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
    "{{ 9" + "9" * 5000 + " }}",
    "{{ title|replace('', long) }}",
    "{{ long|replace('x', long) }}",
    "{{ long|indent(1000000000) }}",
    "{{ title|center(1000000000) }}",
    "{{ n|round(-1000000000) }}",
    "{{ items|join(long) ~ long }}",
    "{{ " + "(" * 3000 + "n" + ")" * 3000 + " }}",
    "{{ " + "not " * 3000 + "n }}",
    "{% if n %}" * 300 + "{% endif %}" * 300,
    "{{ n }}" * 20_000,
    "{{ n" + "|int" * 4000 + " }}",
    "{% for x in items recursive %}{{ loop(items) }}{% endfor %}",
]


@pytest.mark.parametrize("source", ENDLESS, ids=lambda source: source[:40])
def test_no_template_goes_on_and_on(source: str) -> None:
    try:
        shown = said(source)
    except TemplateWrong:
        shown = ""
    assert len(shown) <= MAX_OUTPUT


@given(st.text(alphabet="{}%#|.()[]'\"~+-* \nabinorfset0123", max_size=60))
def test_any_text_is_a_template_or_is_refused(source: str) -> None:
    try:
        shown = Compiled(source, known=VALUES).text(VALUES)
    except TemplateWrong:
        shown = ""
    assert len(shown) <= 2 * len(source) + 10
