"""Templates in the database: saved in versions, told of by events, removed; the same on SQLite and PostgreSQL."""

from typing import Any

import pytest

from desk import ANA, Desk, in_threads
from tocsin.kit.errors import Conflict, Invalid, NotFound, PreconditionFailed
from tocsin.notify import template_service as templates
from tocsin.notify.template_store import TemplateRow
from tocsin.notify.wording import Template


def save(desk: Desk, *, seen_version: int | None = None, **parts: Any) -> tuple[TemplateRow, bool]:
    template = Template("mine", **parts)
    return desk.database.write(lambda tx: templates.save(tx, template, seen_version=seen_version), actor=ANA)


def test_a_template_is_saved_in_versions_and_its_events_say_what_changed(desk: Desk) -> None:
    first, is_new = save(desk, title="{{ kind }}", payload={"a": ["{{ records }}", 1, None, True]})
    assert (first.version, is_new, first.updated_by) == (1, True, "local:ana")
    assert first.template.payload == {"a": ["{{ records }}", 1, None, True]}
    assert save(desk, title="{{ kind }}", payload={"a": ["{{ records }}", 1, None, True]}) == (first, False)
    second, is_new = save(desk, title="{{ kind }}", text="x", seen_version=1)
    assert (second.version, is_new, second.template.payload) == (2, False, None)
    told = [(event.kind, event.data.get("changed")) for event in desk.events("template:mine")]
    assert told == [("TemplateSaved", ["title", "payload"]), ("TemplateSaved", ["text", "payload"])]
    with pytest.raises(PreconditionFailed):
        save(desk, seen_version=1)
    with pytest.raises(Invalid):
        save(desk, text="{{ nothing_like_it }}")


def test_a_removed_template_is_gone(desk: Desk) -> None:
    save(desk, title="x")
    desk.database.write(lambda tx: templates.remove(tx, "mine"), actor=ANA)
    with pytest.raises(NotFound):
        desk.database.read(lambda tx: templates.get(tx, "mine"))
    assert desk.kinds("template:mine") == ["TemplateSaved", "TemplateRemoved"]


def test_of_two_that_make_one_at_once_nobody_overwrites_the_other_unseen(desk: Desk) -> None:
    outcomes = in_threads(*[lambda n=n: save(desk, title=f"t{n}") for n in range(3)])
    made = [one for one in outcomes if isinstance(one, tuple) and one[1]]
    assert len(made) == 1
    assert all(isinstance(one, tuple | Conflict) for one in outcomes), outcomes
