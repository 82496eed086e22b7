"""What commands print: tables that fit the terminal, instants and ages for people, JSON as it came."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH: Final = 2000  # a pipe or a file has no edge: nothing is cut or wrapped
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
LEVEL_STYLES: Final = {
    "TRACE": "dim",
    "DEBUG": "dim",
    "INFO": "green",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold white on red",
}
STATUS_STYLES: Final = {
    "OPEN": "bold red",
    "firing": "bold red",
    "suppressed": "magenta",
    "IN_PROGRESS": "yellow",
    "RESOLVED": "green",
}
SLA_STYLES: Final = {
    "breached": "bold white on red",
    "at_risk": "bold yellow",
    "paused": "magenta",
    "met_late": "red",
    "on_track": "green",
    "met": "green",
}
PRIORITY_STYLES: Final = {"P1": "bold white on red", "P2": "bold red", "P3": "yellow"}


def console() -> Console:
    """Standard output: coloured and as wide as the terminal; plain and not cut when it is not one."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_json(*documents: str, many: bool = False) -> None:
    """The API's JSON unchanged: one document, or one array of `many`."""
    typer.echo(f"[{','.join(documents)}]" if many else documents[0])


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, flexible: Sequence[str]) -> None:
    """A table; the widest `flexible` columns are cut (with an ellipsis) where the terminal is too narrow."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name not in flexible)
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row]
        for cell in cells:
            cell.no_wrap, cell.overflow = True, "ellipsis"
        table.add_row(*cells)
    console().print(table)


def print_fields(fields: Iterable[tuple[str, str | Text | None]]) -> None:
    """Names and values, one a line; a value that is None or empty is left out."""
    shown = [(name, value) for name, value in fields if value]
    widest = max((len(name) for name, _ in shown), default=0)
    out = console()
    for name, value in shown:
        text = value if isinstance(value, Text) else Text(printable(value, keep_newlines=True))
        lines = text.split("\n", allow_blank=True) or [text]
        out.print(Text.assemble((f"{name:<{widest}}  ", "dim"), lines[0]), soft_wrap=True)
        for line in lines[1:]:
            out.print(Text.assemble(" " * (widest + 2), line), soft_wrap=True)


def styled(text: str, styles: dict[str, str]) -> Text:
    """A word in the colour that a table of styles has for it."""
    return Text(printable(text), style=styles.get(text, ""))


def printable(text: str, *, keep_newlines: bool = False) -> str:
    """Text without anything that could steer a terminal: what others sent is shown, not obeyed."""
    if text.isprintable():
        return text
    kept = "\n" if keep_newlines else ""
    return "".join(c if c.isprintable() or c in kept else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def when(instant: str | None, *, utc: bool = False, fraction: bool = False) -> str:
    """An instant of the API as `2026-11-24 03:08:12`, in this machine's zone, or UTC with `Z`."""
    if instant is None:
        return ""
    at = datetime.fromisoformat(instant)
    local = at.astimezone(UTC) if utc else at.astimezone()
    text = local.strftime("%Y-%m-%d %H:%M:%S")
    if fraction:
        text += f".{local.microsecond // 1000:03d}"
    return text + ("Z" if utc else "")


def age(instant: str | None, now: datetime | None = None) -> str:
    """How long ago an instant of the API was: `42s`, `3m`, `2h 5m`, `4d 1h`."""
    if instant is None:
        return ""
    elapsed = (now or datetime.now(UTC)) - datetime.fromisoformat(instant)
    return duration(elapsed.total_seconds())


def duration(seconds: float | None) -> str:
    """The two largest units of a duration: `2h 5m`."""
    if seconds is None:
        return ""
    rest = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in _UNITS:
        n, rest = divmod(rest, size)
        if n or (parts and len(parts) < 2):
            parts.append(f"{n}{unit}")
        if len(parts) == 2:
            break
    shown = [part for part in parts if not part.startswith("0")]
    return " ".join(shown) or "0s"


def more_follows(page: Any) -> None:
    """Say how to get the next page, if there is one."""
    if page["next"]:
        typer.echo(f"More follow: --cursor {page['next']}", err=True)
