"""The parts of docs/ that are made from the code: `make docs` writes them, tests/rules says when they are stale.

A page names such a part by `<!-- from the code: NAME -->` and ends it with `<!-- end -->`; what stands between is
replaced. The OpenAPI document is a file of its own.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from command_reference import command_sections
from tocsin.kit import events
from tocsin.kit.events import Event
from tocsin.logs.formats.json_logger import ALIASES
from tocsin.logs.levels import SEVERITY_BY_NAME, Level, level_of_severity
from tocsin.main import Instance, create_app
from tocsin.settings import Settings, read_settings
from tocsin.tickets import workflow
from tocsin.web.problems import INTERNAL, STATUSES, name_of

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
OPENAPI: Final = DOCS / "reference" / "openapi.json"
_PART: Final = re.compile(r"(<!-- from the code: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head), *(tuple(row) for row in rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def settings() -> str:
    """Each setting with its variable, default and meaning."""

    def default(value: object) -> str:
        return "" if value is None or isinstance(value, SecretStr) else f"`{str(value).lower()}`"

    found = Settings.model_fields.items()
    rows = ((f"`TOCSIN_{name.upper()}`", default(field.default), field.description or "") for name, field in found)
    return _table(("variable", "default", "meaning"), rows)


def event_kinds() -> list[type[Event]]:
    """The kinds of events there are, in the order of their file."""
    found = (kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event))
    return [kind for kind in found if kind is not Event and not kind.__name__.startswith("_")]


def event_table() -> str:
    """Each kind of event with its subject, meaning and facts."""

    def row(kind: type[Event]) -> tuple[str, ...]:
        subject = re.sub(r"\{self\.(\w+)\}", r"<\1>", kind.SUBJECT)
        facts = (f"`{field.name}`" for field in fields(kind) if field.name not in kind.UNWRITTEN)
        return f"`{kind.__name__}`", f"`{subject}`", " ".join((kind.__doc__ or "").split()), ", ".join(facts)

    return _table(("kind", "subject", "meaning", "facts in `data`"), map(row, event_kinds()))


def problem_table() -> str:
    """Each kind of error of ours with its HTTP status and what its `detail` says."""

    def row(name: str, status: int, text: str) -> tuple[str, ...]:
        return f"`urn:tocsin:problem:{name}`", str(status), re.sub(r"\{\w+\}", "…", text)

    rows = [row(name_of(kind), status, (kind.__doc__ or "").strip()) for kind, status in STATUSES.items()]
    rows.append(row(INTERNAL, 500, "An error on our side; the server's log has it under request id {id}."))
    return _table(("type", "status", "`detail` reads"), rows)


def metric_table() -> str:
    """Each metric of a server on an embedded database."""
    suffix = {"counter": "_total"}
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(read_settings(data_dir=folder, database_url=None, database_url_file=None))
        try:
            found = list(instance.metrics.registry.collect())
        finally:
            instance.close()
    rows = ((f"`{metric.name}{suffix.get(metric.type, '')}`", metric.type, metric.documentation) for metric in found)
    return _table(("name", "type", "meaning"), rows)


def level_table() -> str:
    """Each level with the names that mean it; the number after a name is its severity number if that differs."""

    def named(level: Level) -> str:
        found = ((name, number) for name, number in SEVERITY_BY_NAME.items() if level_of_severity(number) is level)
        return ", ".join(f"`{name}`" if number == level else f"`{name}` ({number})" for name, number in found)

    rows = ((f"**{level.name}**", str(level.value), named(level)) for level in Level)
    return _table(("level", "severity number", "names that mean it, in any case"), rows)


def alias_table() -> str:
    """Each field of a record with the names of other loggers that are understood as it, best first."""
    rows = ((f"`{field}`", ", ".join(f"`{name}`" for name in names)) for field, names in ALIASES.items())
    return _table(("field", "understood as it, the first one present wins"), rows)


def lifecycle() -> str:
    """The diagram of a ticket's states."""
    return f"```mermaid\n{workflow.mermaid()}```\n"


def openapi() -> str:
    """The OpenAPI document of the application, as a file."""
    return json.dumps(create_app(read_settings()).openapi(), indent=2, ensure_ascii=False) + "\n"


PARTS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings,
    "events": event_table,
    "problems": problem_table,
    "metrics": metric_table,
    "levels": level_table,
    "aliases": alias_table,
    "lifecycle": lifecycle,
    "commands": command_sections,
}


def refreshed(text: str) -> str:
    """A page with its generated parts made anew."""
    return _PART.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}{found[3]}", text)


def pages() -> dict[Path, str]:
    """Every file that is wholly or partly made from the code, as it should be now."""
    found = {path: path.read_text() for path in sorted(DOCS.rglob("*.md"))}
    made = {path: refreshed(text) for path, text in found.items() if _PART.search(text)}
    return {**made, OPENAPI: openapi()}


def main() -> None:
    """Write what is stale, and name it."""
    for path, content in pages().items():
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            print(f"refreshed {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
