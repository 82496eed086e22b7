"""`tocsin apply`: bring about what files of rules, silences and services say, and tell what that changes."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import CommandFailed, Refused, WrongUsage
from tocsin.cli.output import console, print_json, printable
from tocsin.cli.remote import Answer, Server
from tocsin.cli.yamlfile import MAX_BYTES, Place, escaped, place_of, read_yaml

SECTIONS: Final = {"rules": "rule", "silences": "silence", "services": "service"}
TIMEOUT_S: Final = 300.0
SHOWN_KEPT: Final = 10
NOT_IN_THE_FILE: Final = "not in the file"
_SIGNS: Final = {"create": ("+", "green"), "change": ("~", "yellow"), "delete": ("-", "red")}
_DONE: Final = {"create": "made", "change": "changed", "delete": "removed"}

app = make_app()


@app.command(
    epilog=examples(
        "tocsin apply -f tocsin.yaml --dry-run",
        "tocsin apply -f rules.yaml -f services.yaml",
        "tocsin export | tocsin apply -f - --prune --dry-run",
    )
)
def apply(
    files: Annotated[
        list[str],
        typer.Option("--file", "-f", metavar="FILE", help="YAML; - for standard input. Several make one."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="In the sections that the files have, remove what is not there; of silences, those of files.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without being asked.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring about what files of rules, silences and services say: all of it at once, or nothing.

    A section that no file has is left alone; so is what is in no file, unless --prune is given. What is wrong is told
    with its line and column.
    """
    sections, places = _read(files)
    body: dict[str, object] = {**sections, "prune": prune}
    shown = False
    with Server(url, key_file, timeout_s=TIMEOUT_S) as server:
        if prune and not dry_run and not yes:
            looked_at = _ask(server, {**body, "dry_run": True}, places)
            if looked_at.data["counts"]["delete"]:
                _agree(looked_at.data, at_terminal=sys.stdin.isatty() and "-" not in files and not as_json)
                shown = True
            body["expected"] = looked_at.data["fingerprint"]
        answer = _ask(server, {**body, "dry_run": dry_run}, places)
    if as_json:
        print_json(answer.text)
        return
    if not shown:
        _print_plan(answer.data["plan"])
    typer.echo(_summary(answer.data))


def _read(files: Sequence[str]) -> tuple[dict[str, list[Any]], dict[str, Place]]:
    """All files as one: the entries of each section, and by JSON pointer where everything stands."""
    sections: dict[str, list[Any]] = {}
    places: dict[str, Place] = {}
    for file in files:
        said, where = read_yaml(_content(file), "standard input" if file == "-" else file)
        if not isinstance(said, dict):
            raise WrongUsage(detail=f"{where.get('', file)}: expected the sections {', '.join(SECTIONS)}")
        for section, entries in said.items():
            here = f"/{escaped(section)}"
            _check_section(section, entries, where[here])
            moved = len(sections.setdefault(section, []))
            sections[section] += entries or []
            places |= dict(_moved(where, here, moved))
    return sections, places


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with Path(file).open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _check_section(section: str, entries: Any, place: Place) -> None:
    if section not in SECTIONS:
        raise WrongUsage(detail=f"{place}: there is no section {section!r}; expected some of {', '.join(SECTIONS)}")
    if entries is not None and not isinstance(entries, list):
        raise WrongUsage(detail=f"{place}: expected a list of {section}, each beginning with '- name:'")


def _moved(where: Mapping[str, Place], section: str, by: int) -> Iterable[tuple[str, Place]]:
    """The places of a section's entries, which stand behind those of the files before."""
    for pointer, place in where.items():
        if pointer.startswith(section + "/"):
            number, slash, rest = pointer.removeprefix(section + "/").partition("/")
            yield f"{section}/{int(number) + by}{slash}{rest}", place


def _ask(server: Server, body: Mapping[str, object], places: Mapping[str, Place]) -> Answer:
    try:
        return server.post("/apply", body)
    except Refused as error:
        found = error.document.get("errors")
        if error.document.get("status") != 422 or not isinstance(found, list) or not found:
            raise
        notes = [_note(one, places) for one in found]
        many = "one fault" if len(notes) == 1 else f"{len(notes)} faults"
        raise Refused(f"{many} in the file; nothing was changed", notes=notes, document=error.document) from error


def _note(error: Mapping[str, Any], places: Mapping[str, Place]) -> str:
    pointer = str(error.get("pointer", ""))
    place = place_of(dict(places), pointer)
    return printable(" ".join(filter(None, [f"{place}:" if place else "", f"{pointer}:", str(error.get("detail"))])))


def _agree(plan: Mapping[str, Any], *, at_terminal: bool) -> None:
    """Have a person say that what would be removed may go."""
    gone = [f"{SECTIONS[step['section']]} {step['name']}" for step in plan["plan"] if step["action"] == "delete"]
    if not at_terminal:
        named = printable(", ".join(gone[:SHOWN_KEPT]) + ("" if len(gone) <= SHOWN_KEPT else ", ..."))
        raise WrongUsage(detail=f"--prune would remove {len(gone)} ({named}); say --yes, or look with --dry-run")
    _print_plan(plan["plan"])
    if not typer.confirm(f"Remove {len(gone)}?", err=True):
        raise CommandFailed(detail="nothing was changed")


def _print_plan(plan: Sequence[Mapping[str, Any]]) -> None:
    out = console()
    for step in plan:
        if step["action"] in _SIGNS:
            out.print(_line(step), soft_wrap=True)
    same = [step for step in plan if step["action"] == "unchanged"]
    for step in same:
        if step["note"]:
            out.print(Text(f"= {_named(step)} ({printable(step['note'])})", style="dim"), soft_wrap=True)
    if same:
        out.print(Text(f"= {len(same)} unchanged", style="dim"), soft_wrap=True)
    for note in sorted({str(step["note"]) for step in plan if step["action"] == "kept"}):
        names = [_named(step) for step in plan if step["action"] == "kept" and step["note"] == note]
        why = f"{note} (--prune removes it)" if note == NOT_IN_THE_FILE else note
        more = f", and {len(names) - SHOWN_KEPT} more" if len(names) > SHOWN_KEPT else ""
        out.print(Text(f"  kept, {why}: {', '.join(names[:SHOWN_KEPT])}{more}", style="dim"), soft_wrap=True)


def _line(step: Mapping[str, Any]) -> Text:
    sign, style = _SIGNS[step["action"]]
    changes = ", ".join(
        f"{name} {_short(one['before'])} → {_short(one['after'])}" for name, one in step["changed"].items()
    )
    note = f" ({step['note']})" if step["note"] else ""
    return Text.assemble((f"{sign} {_named(step)}", style), printable(f"{': ' if changes else ''}{changes}{note}"))


def _named(step: Mapping[str, Any]) -> str:
    return printable(f"{SECTIONS[step['section']]} {step['name']}")


def _short(value: object) -> str:
    """A value as a plan shows it: texts that could be something else in quotes."""
    if value is None:
        return "none"
    if isinstance(value, str) and value and " " not in value and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False)


def _summary(answer: Mapping[str, Any]) -> str:
    counts = answer["counts"]
    done = [f"{counts[action]} {word}" for action, word in _DONE.items() if counts[action]]
    if answer["applied"]:
        return f"Applied: {', '.join(done)}." if done else "Applied: everything is so already."
    return f"A dry run: nothing was changed; it would be {', '.join(done) or 'nothing'}."
