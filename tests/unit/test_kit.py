"""Cursors, priorities, actors and errors."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit import errors
from tocsin.kit.actors import SYSTEM, Actor
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Invalid, TocsinError
from tocsin.kit.priorities import PRIORITY_NAMES, Priority, priority_of
from tocsin.web.problems import STATUSES, problem


@given(st.lists(st.integers(0, 2**53) | st.text(max_size=10), max_size=4))
def test_a_cursor_is_read_back(keys: list[int | str]) -> None:
    cursor = encode_cursor("logs", *keys)
    assert decode_cursor(cursor, "logs", *map(type, keys)) == tuple(keys)
    assert cursor.isascii()
    assert not set(cursor) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=60))
def test_any_text_that_is_no_cursor_of_the_list_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        decode_cursor(text, "logs", int, int)


@pytest.mark.parametrize(
    "content",
    [["alerts", 1, 2], ["logs", 1], ["logs", 1, 2, 3], ["logs", True, 2], ["logs", 1.5, 2], ["logs", "1", 2],
     ["logs", -1, 2], ["logs", 2**60, 2], "logs", {"logs": 1}, None, []],
)  # fmt: skip
def test_an_altered_cursor_is_invalid(content: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    with pytest.raises(Invalid) as error:
        decode_cursor(cursor, "logs", int, int)
    assert error.value.errors[0].pointer == "cursor"


@pytest.mark.parametrize("priority", Priority)
def test_a_priority_is_known_by_its_names(priority: Priority) -> None:
    name = next(name for name, number in PRIORITY_NAMES.items() if number == priority)
    for text in (priority.name, priority.name.lower(), str(int(priority)), name, f" {name.lower()} "):
        assert priority_of(text) is priority


@pytest.mark.parametrize("text", ["", "P0", "P6", "6", "PP1", "URGENT", "1.0", "¹"])
def test_what_is_no_priority_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a priority"):
        priority_of(text)


def test_actors_are_told_apart_by_kind_and_name() -> None:
    assert str(SYSTEM) == "system"
    assert str(Actor("local", "ana")) == "local:ana"
    assert Actor("local", "ana").credential != Actor("key", "ana").credential


FACTS = {"detail": "d", "what": "ticket", "id": 1, "version": 2, "wanted": 1, "key": "k", "limit": 1, "when": "",
         "queued": 1, "bound": 2, "place": "p"}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(STATUSES, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_is_a_problem_document_with_its_text(kind: type[TocsinError]) -> None:
    if kind.__init__ is TocsinError.__init__:
        error = kind(**FACTS)
    elif issubclass(kind, Invalid):
        error = kind("d")
    else:
        return  # TransitionRefused: see the workflow's tests
    status, headers, body = problem(error)
    content = json.loads(body)
    assert status == content["status"] == STATUSES[kind]
    assert content["detail"] == str(error)
    assert "{" not in content["detail"]
    assert ("Retry-After" in headers) == (status == 503)
    assert ("WWW-Authenticate" in headers) == (status == 401)


def test_every_kind_of_error_has_a_status_of_its_own_or_of_its_parent() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TocsinError)]
    for kind in kinds:
        if kind not in (TocsinError, errors.StartRefused):
            assert any(parent in STATUSES for parent in kind.__mro__), kind
