"""What the code offers is in the reference, and what the reference generates from the code is fresh."""

import inspect
import re
from pathlib import Path

import pytest

import refresh_docs
from tocsin.notify import wording
from tocsin.notify.template_filters import FILTERS
from tocsin.settings import Settings
from tocsin.tickets import workflow
from tocsin.web import problems

REFERENCE = refresh_docs.DOCS / "reference"
EVENT_KINDS = [kind.__name__ for kind in refresh_docs.event_kinds()]
# The problem types are the kinds of the table and the names written out in the module: "method-not-allowed".
WRITTEN_OUT = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', inspect.getsource(problems)))
PROBLEM_TYPES = sorted({problems.name_of(kind) for kind in problems.STATUSES} | WRITTEN_OUT)


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_reference(name):
    assert f"`TOCSIN_{name.upper()}`" in page("settings.md")
    assert Settings.model_fields[name].description, "a setting says what it is for"


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_every_event_kind_is_in_the_reference(kind):
    assert f"`{kind}`" in page("events.md")


@pytest.mark.parametrize("name", PROBLEM_TYPES)
def test_every_problem_type_is_in_the_reference(name):
    assert f"`urn:tocsin:problem:{name}`" in page("problems.md")


@pytest.mark.parametrize("name", sorted(wording.NAMES | FILTERS.keys()))
def test_every_name_and_filter_of_templates_is_in_the_reference(name):
    assert f"`{name}`" in page("templates.md") or f"`{name}." in page("templates.md")


def test_the_lists_to_check_against_are_not_empty():
    assert len(EVENT_KINDS) > 5
    assert {"internal-error", "method-not-allowed", "not-found"} <= set(PROBLEM_TYPES)


def test_the_lifecycle_diagram_in_the_reference_is_the_one_of_the_transition_table():
    assert f"```mermaid\n{workflow.mermaid()}```\n" in page("tickets.md")


@pytest.mark.parametrize("part", sorted(refresh_docs.PARTS))
def test_every_generated_part_stands_on_some_page(part):
    marks = f"<!-- from the code: {part} -->"
    assert any(marks in path.read_text() for path in refresh_docs.DOCS.rglob("*.md"))


def test_what_the_docs_take_from_the_code_is_fresh():
    stale = [
        str(path.relative_to(refresh_docs.ROOT))
        for path, content in refresh_docs.pages().items()
        if not path.exists() or path.read_text() != content
    ]
    assert stale == [], "run `make docs`"


def _links() -> list[tuple[Path, str]]:
    paths = [*refresh_docs.ROOT.glob("*.md"), *refresh_docs.DOCS.rglob("*.md")]
    found = ((path, target) for path in paths for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()))
    return [(path, target) for path, target in found if "://" not in target]


def test_links_between_pages_lead_somewhere():
    links = _links()
    assert len(links) > 20
    broken = [f"{path.name}: {target}" for path, target in links if not (path.parent / target).exists()]
    assert broken == []
