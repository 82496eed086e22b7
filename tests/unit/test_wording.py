"""What messages say by default, what a broken template leaves of one, and which templates are refused when saved."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import START
from tocsin.alerts.declarations import Declaration
from tocsin.alerts.rules import Rule
from tocsin.kit.metrics import Metrics
from tocsin.logs.record import Record
from tocsin.notify.composing import compose
from tocsin.notify.message import Action, Kind
from tocsin.notify.picture import FirstAlert, Occasion, Picture, values_of
from tocsin.notify.template_service import TemplateBook
from tocsin.notify.template_store import TemplateRow
from tocsin.notify.wording import MAX_TITLE, Template, faults, ready, say
from tocsin.tickets.sla import Clock, State

NOW = START + timedelta(minutes=3)
HOSTILE = "</pre><script>alert(1)</script> {{ ticket }} \u202e\x1b[31m\r\nBcc: eve@example.com"


def a_picture(**fields: Any) -> Picture:
    ticket = {
        "id": 7, "title": "database connection lost", "description": "", "status": "OPEN", "priority": 1,
        "service": "payments", "team": None, "assignee": None, "tags": ["db"], "opened_at": START, "resolved_at": None,
        "reopen_count": 0, "resolution_code": None, "resolution_note": None,
    }  # fmt: skip
    record = Record(
        id=12, timestamp=START, observed_at=START, level="CRITICAL", severity_number=21, service="payments",
        message=fields.pop("message", "database connection lost: timeout after 30 s"),
        attributes=msgspec.Raw(b'{"host": "db-1", "n": {"deep": [1]}}'),
    )  # fmt: skip
    clock = Clock(
        "acknowledge", State.ON_TRACK, NOW + timedelta(minutes=12), None, timedelta(minutes=3), timedelta(minutes=12),
        timedelta(0), None,
    )  # fmt: skip
    rule = Rule(name="db", version=1, condition="x", runbook_url="https://wiki.example.org/db")
    known: dict[str, Any] = {
        "alert": FirstAlert({"rule": "db"}, rule), "alerts": 1, "records": 1204, "record": record,
        "service": Declaration("payments", team="pay", tier=1), "clocks": {"acknowledge": clock},
    }  # fmt: skip
    return Picture({**ticket, **fields}, NOW, **known)


OCCASION = Occasion(
    person="ana",
    why={"step": 2},
    actions=(
        Action("acknowledge", "Acknowledge", "https://tocsin.example.org/act/A"),
        Action("open", "Open", "https://tocsin.example.org/tickets/7"),
    ),
)


def values(kind: Kind = Kind.PAGE, **fields: Any) -> dict[str, Any]:
    return values_of(kind, a_picture(**fields), OCCASION, now=NOW)


def test_a_page_says_what_where_how_bad_since_when_and_what_to_do() -> None:
    said = say(None, Kind.PAGE, values())
    assert said.problem is None
    assert said.title == "P1 payments: database connection lost"
    assert said.text.splitlines() == [
        "ana, you are called (step 2).",
        "",
        "database connection lost: timeout after 30 s",
        "",
        "Where: payments (tier 1), team pay",
        "How bad: P1, CRITICAL, 1,204 records",
        "Since: 2026-11-24 02:21 UTC, 3 min ago",
        "SLA: acknowledge by 2026-11-24 02:36 UTC, 12 min left",
        "Runbook: https://wiki.example.org/db",
        "What to do: acknowledge it, so that nobody else is called.",
    ]
    assert '<a href="https://tocsin.example.org/act/A"' in said.html


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_message_has_words(kind: Kind) -> None:
    picture = None if kind in {Kind.NOTICE, Kind.CODE, Kind.TEST} else a_picture()
    said = say(None, kind, values_of(kind, picture, Occasion(facts={"code": "123"}), now=NOW))
    assert (said.problem, "[no " in said.title + said.text) == (None, False), said
    assert said.title
    assert said.title in said.html


def test_other_kinds_say_what_happened() -> None:
    resolved = values_of(
        Kind.RESOLVED,
        a_picture(resolved_at=START + timedelta(hours=2), resolution_code="fixed", resolution_note="pool restarted"),
        Occasion(by="ana"),
        now=NOW,
    )
    assert say(None, Kind.RESOLVED, resolved).text.splitlines() == [
        "Resolved by ana after 2 h (fixed).", "pool restarted", "1,204 records in all.", "Ticket 7"]  # fmt: skip
    changes = [{"at": START, "by": "rui", "what": "priority P2 → P1"}, {"at": NOW, "by": "ana", "what": "looking"}]
    updated = values_of(Kind.UPDATED, a_picture(assignee="ana"), Occasion(changes=changes, bundled=2), now=NOW)
    assert say(None, Kind.UPDATED, updated).text.splitlines() == [
        "2 updates in one message.", "02:21 UTC rui: priority P2 → P1", "02:24 UTC ana: looking",
        "Now OPEN, P1, ana.", "Ticket 7"]  # fmt: skip


def test_what_a_log_says_is_shown_and_does_nothing() -> None:
    said = say(None, Kind.PAGE, values(message=HOSTILE, title=HOSTILE))
    assert "\n" not in said.title
    assert "{{ ticket }}" in said.text
    assert not {"\x1b", "\u202e", "\r"} & set(said.title + said.text)
    assert "<script>" not in said.html
    assert "&lt;script&gt;" in said.html


def test_a_template_replaces_the_parts_it_has() -> None:
    template = Template(
        "mine",
        title="[{{ ticket.priority }}] {{ record.attributes.host }}",
        payload={
            "text": "{{ said.title }}",
            "n": "{{ records }}",
            "host": "{{ record.attributes.none }}",
            "tags": ["{{ ticket.tags }}", 1],
        },
    )
    assert faults(template) == []
    said = say(ready(template), Kind.PAGE, values(message='"}, "evil": "'))
    assert (said.title, said.problem) == ("[P1] db-1", None)
    assert said.text.startswith("ana, you are called")
    assert said.payload == {"text": "[P1] db-1", "n": 1204, "host": None, "tags": [["db"], 1]}


def test_a_template_that_breaks_loses_no_page_and_the_message_says_so() -> None:
    broken = Template("mine", text="fine\n{{ ticket.title / 2 }}")
    assert faults(broken) == []
    said = say(ready(broken), Kind.PAGE, values())
    assert said.problem == "text: line 2: / takes numbers here"
    assert "database connection lost: timeout" in said.text
    assert (
        "(The template mine could not be used: text: line 2: / takes numbers here. This is the default one.)"
        in said.text
    )


@pytest.mark.parametrize(
    ("template", "pointer"),
    [
        (Template("x", title="{{ ticekt }}"), "/title"),
        (Template("x", html="{{ title|safe }}"), "/html"),
        (Template("x", payload={"a": {"b/c": ["{{ x }}"]}}), "/payload/a/b~1c/0"),
        (Template("x", payload={"a": [[] for _ in range(400)]}), "/payload"),
    ],
)
def test_a_template_that_is_wrong_is_named_at_its_place(template: Template, pointer: str) -> None:
    assert [error.pointer[: len(pointer)] for error in faults(template)] == [pointer]


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_message_and_title_make_a_message_that_can_be_sent(message: str, title: str) -> None:
    said = say(None, Kind.PAGE, values(message=message, title=title or "x"))
    assert said.problem is None
    assert 0 < len(said.title) <= MAX_TITLE
    assert not set(said.title) & set("\r\n\0\x1b")
    said.text.encode()


def test_all_parts_of_a_template_share_what_it_may_use_up() -> None:
    busy = "{% for a in range(999) %}{% for b in range(2) %}{% endfor %}{% endfor %}{{ records }}"
    one = Template("x", payload={"a": busy})
    many = Template("x", payload={"a": [busy] * 10})
    assert (faults(one), faults(many)) == ([], [])
    assert say(ready(one), Kind.PAGE, values()).problem is None
    assert "takes too long" in str(say(ready(many), Kind.PAGE, values()).problem)
    assert "40000" in faults(Template("x", payload={"a": ["{{ records }}" * 1500] * 3}))[0].detail
    large = Template("x", payload={str(n): "{{ ticket.description }}" for n in range(9)})
    assert "256000" in str(say(ready(large), Kind.PAGE, values(description="x" * 40_000)).problem)


def test_attributes_that_are_nested_too_deeply_lose_no_page() -> None:
    picture = a_picture()
    assert picture.record is not None
    deep = msgspec.structs.replace(picture.record, attributes=msgspec.Raw(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"))
    said = say(None, Kind.PAGE, values_of(Kind.PAGE, replace(picture, record=deep), OCCASION, now=NOW))
    assert (said.problem, "database connection lost" in said.text) == (None, True)


def test_the_book_says_it_by_the_default_where_a_template_is_gone_or_broken_and_counts_that() -> None:
    metrics = Metrics()
    book = TemplateBook(metrics)
    row = TemplateRow(Template("mine", title="{{ ticket.id }}"), 1, START, START, "local:ana")
    assert book.say(row, "mine", Kind.PAGE, values()).title == "7"
    assert book.say(None, None, Kind.PAGE, values()).problem is None
    broken = TemplateRow(Template("mine", title="{% for"), 2, START, START, "local:ana")
    for found in (None, broken, broken):
        said = book.say(found, "mine", Kind.PAGE, values())
        assert said.title == "P1 payments: database connection lost"
        assert "The template mine could not be used" in said.text
    assert metrics.registry.get_sample_value("tocsin_template_fallbacks_total") == 3


def test_a_message_is_composed_of_what_is_said_and_known() -> None:
    picture = a_picture()
    said = say(None, Kind.PAGE, values())
    message = compose(said, Kind.PAGE, picture, OCCASION, message_id="d1", earlier="C1:2")
    assert (message.thread, message.ticket_id, message.priority, message.status) == ("ticket-7", 7, "P1", "OPEN")
    assert (message.url, message.earlier) == ("https://tocsin.example.org/tickets/7", "C1:2")
    assert dict(message.facts) == {
        "Priority": "P1, CRITICAL", "Status": "OPEN", "Service": "payments", "Records": "1,204",
        "Since": "2026-11-24 02:21 UTC", "SLA": "acknowledge by 2026-11-24 02:36 UTC",
        "Runbook": "https://wiki.example.org/db"}  # fmt: skip
    test = say(None, Kind.TEST, values_of(Kind.TEST, None, Occasion(), now=NOW))
    notice = compose(test, Kind.TEST, None, Occasion(), message_id="t")
    assert (notice.thread, notice.ticket_id, notice.facts) == ("t", None, ())
