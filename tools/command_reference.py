"""The reference of the command line, read off the commands themselves."""

import importlib
import re
from collections.abc import Iterator
from typing import Any, Final

from typer.main import get_command

from tocsin.cli.app import COMMANDS

SHARED: Final = frozenset({"--help", "--url", "--key-file", "--json", "--utc"})  # the page explains them once


def command_sections() -> str:
    """Each command, and each command of a group, with its text, parameters and examples, as Markdown."""
    return "".join(
        _section(path, command)
        for line in COMMANDS
        for path, command in _walk(f"tocsin {line.name}", get_command(importlib.import_module(line.module).app))
    )


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _walk(f"{path} {name}", inner)


def _section(path: str, command: Any) -> str:
    parts = [f"## {path}\n", f"{(command.help or '').strip()}\n"]
    rows = [_row(parameter) for parameter in command.params if SHARED.isdisjoint(parameter.opts)]
    if rows:
        parts.append("".join(["| | default | |\n| --- | --- | --- |\n", *rows]))
    examples = re.findall(r"`([^`]+)`", command.epilog or "")
    if examples:
        parts.append("\n".join(["```console", *(f"$ {example}" for example in examples), "```"]) + "\n")
    return "\n".join(parts) + "\n"


def _row(parameter: Any) -> str:
    value = "" if getattr(parameter, "is_flag", False) else parameter.metavar or ""
    if parameter.opts[0].startswith("-"):
        name = f"`{', '.join([*parameter.opts, *parameter.secondary_opts])}` {value}".strip()
    else:
        name = f"`{value or parameter.name.upper()}`"
    cells = (name, _default(parameter), parameter.help or "")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.default is True:
        return f"`{parameter.opts[0]}`"
    return f"`{parameter.default}`" if parameter.default and not callable(parameter.default) else ""
