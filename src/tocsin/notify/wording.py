"""What a message says: by a template that somebody wrote, or by the default one, which is always there. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from tocsin.kit.errors import FieldError
from tocsin.notify import default_templates as defaults
from tocsin.notify.channels.cutting import one_line
from tocsin.notify.message import Kind
from tocsin.notify.templates import Compiled, TemplateWrong, one_budget

# What a template may say; the reference explains each.
NAMES: Final = frozenset(
    {"kind", "ticket", "service", "alert", "alerts", "records", "record", "sla", "runbook_url", "person", "by", "way",
     "why", "facts", "changes", "bundled", "links", "now", "zone", "said", "fact_list", "action_list"}
)  # fmt: skip
MAX_TITLE: Final = 300
MAX_LEAVES: Final = 300
MAX_DEPTH: Final = 12
MAX_SOURCES: Final = 40_000
MAX_PAYLOAD: Final = 256_000
PARTS: Final = ("title", "text", "html")


@dataclass(frozen=True, slots=True)
class Template:
    """A template as somebody wrote it. A part that is None is the default one. `payload` is a JSON value whose texts
    are templates: nothing that a log says can break out of its place."""

    name: str
    title: str | None = None
    text: str | None = None
    html: str | None = None
    payload: dict[str, Any] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says. `problem` is why the default template had to say it."""

    title: str
    text: str
    html: str
    payload: dict[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A template that can be rendered."""

    name: str
    parts: Mapping[str, Compiled] = field(default_factory=dict)
    payload: Any = None


def faults(template: Template) -> list[FieldError]:
    """What is wrong with a template, each at its part."""
    size = sum(map(_size, (template.title, template.text, template.html, template.payload)))
    if size > MAX_SOURCES:
        return [FieldError("", f"has {size} characters in all its parts; at most {MAX_SOURCES}")]
    found: list[FieldError] = []
    for part in PARTS:
        source = getattr(template, part)
        if source is not None:
            found += _faults_of(source, f"/{part}", html=part == "html")
    if template.payload is not None:
        found += _faults_of_tree(template.payload)
    return found


def _size(part: Any) -> int:
    return len(part) if isinstance(part, str) else 0 if part is None else len(json.dumps(part))


def _faults_of(source: str, pointer: str, **how: bool) -> list[FieldError]:
    try:
        Compiled(source, known=NAMES, **how)
    except TemplateWrong as wrong:
        return [FieldError(pointer, str(wrong))]
    return []


def _faults_of_tree(payload: Any) -> list[FieldError]:
    found: list[FieldError] = []
    waiting, leaves = [("/payload", payload, 0)], 0
    while waiting:
        pointer, value, depth = waiting.pop()
        leaves += 1
        if leaves > MAX_LEAVES or depth > MAX_DEPTH:
            return [FieldError(pointer, f"is too large: at most {MAX_LEAVES} values, {MAX_DEPTH} deep")]
        if isinstance(value, str):
            found += _faults_of(value, pointer, as_value=True)
        elif isinstance(value, Mapping):
            waiting += [(f"{pointer}/{_escaped(name)}", one, depth + 1) for name, one in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{place}", one, depth + 1) for place, one in enumerate(value)]
    return found


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def ready(template: Template) -> Ready:
    """Compile a template. Raises TemplateWrong."""
    parts = {
        part: Compiled(getattr(template, part), known=NAMES, html=part == "html")
        for part in PARTS
        if getattr(template, part) is not None
    }
    return Ready(template.name, parts, None if template.payload is None else _compiled(template.payload))


def _compiled(value: Any) -> Any:
    if isinstance(value, str):
        return Compiled(value, known=NAMES, as_value=True)
    if isinstance(value, Mapping):
        return {name: _compiled(one) for name, one in value.items()}
    return [_compiled(one) for one in value] if isinstance(value, list) else value


def say(template: Ready | None, kind: Kind, values: Mapping[str, Any]) -> Said:
    """What a message says: a template that fails is replaced by the default one as a whole, and the message says so."""
    if template is None:
        return _by_default(kind, values)
    try:
        with one_budget():
            return rendered(template, kind, values)
    except TemplateWrong as wrong:
        return not_by(template.name, str(wrong), kind, values)


def not_by(name: str, problem: str, kind: Kind, values: Mapping[str, Any]) -> Said:
    """What the default template says instead of one that is broken or gone."""
    problem = one_line(problem, 300)
    said = _by_default(kind, values)
    note = f"(The template {one_line(name, 100)} could not be used: {problem}. This is the default one.)"
    return replace(said, text=f"{said.text.rstrip()}\n\n{note}\n", problem=problem)


def rendered(template: Ready, kind: Kind, values: Mapping[str, Any]) -> Said:
    """What this template says. Raises TemplateWrong, with the part it happened in."""
    texts: dict[str, str] = {}
    for part in PARTS:
        own = template.parts.get(part)
        known = values if part != "html" else {**values, "said": texts}
        try:
            texts[part] = own.text(known) if own is not None else _default(part, kind).text(known)
        except TemplateWrong as wrong:
            raise TemplateWrong(f"{part}: {wrong}") from wrong
        if part == "title":
            texts[part] = one_line(texts[part], MAX_TITLE) or _title_of(kind, values)
    try:
        payload = None if template.payload is None else _values(template.payload, {**values, "said": texts})
        if payload is not None and _size(payload) > MAX_PAYLOAD:
            raise TemplateWrong(f"says more than {MAX_PAYLOAD} characters")
    except TemplateWrong as wrong:
        raise TemplateWrong(f"payload: {wrong}") from wrong
    return Said(texts["title"], texts["text"], texts["html"], payload)


def _values(tree: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(tree, Compiled):
        return tree.value(values)
    if isinstance(tree, Mapping):
        return {name: _values(one, values) for name, one in tree.items()}
    return [_values(one, values) for one in tree] if isinstance(tree, list) else tree


@lru_cache(maxsize=64)
def _default(part: str, kind: Kind) -> Compiled:
    source = {"title": defaults.TITLES[kind], "text": defaults.TEXTS[kind], "html": defaults.HTML}[part]
    return Compiled(source, known=NAMES, html=part == "html")


def _by_default(kind: Kind, values: Mapping[str, Any]) -> Said:
    try:
        return rendered(Ready("default"), kind, values)
    except TemplateWrong as wrong:  # values of a shape that nobody foresaw: a page is sent all the same
        title = _title_of(kind, values)
        return Said(title, title, "", problem=f"the default template: {one_line(str(wrong), 300)}")


def _title_of(kind: Kind, values: Mapping[str, Any]) -> str:
    ticket = values.get("ticket")
    if isinstance(ticket, Mapping) and ticket.get("title"):
        return one_line(f"{ticket.get('priority') or ''} {ticket['title']}", MAX_TITLE)
    return f"Tocsin: {kind.value}"
