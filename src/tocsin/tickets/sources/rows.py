"""Files of rows: their encoding, their header, their lines; a file that was cut or is not text is refused whole."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from tocsin.kit.clock import from_us
from tocsin.kit.errors import Invalid
from tocsin.kit.priorities import Priority, priority_of
from tocsin.kit.zones import zone_of
from tocsin.logs.timestamps import NotATime, OutOfRange, us_of_text
from tocsin.tickets.importing import Foreign
from tocsin.tickets.workflow import Status

EMPTY: Final = frozenset({"", "?", "-", "null", "none", "n/a"})
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
MAX_FIELD: Final = 1 << 20
_LEVELS: Final = {"high": 1, "medium": 2, "low": 3}


class Unreadable(Invalid):
    """The file can't be imported, nothing of it was: {detail}"""


class BadRow(ValueError):
    """What is wrong with a row; the text says it."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """How a file is read: which column is which field of ours, what its words for states and priorities mean, how its
    dates are written (as `strptime` has it; else ISO 8601), and the zone of those that name none."""

    columns: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    priorities: Mapping[str, str] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    zone: str = "UTC"
    encoding: str | None = None


@dataclass(slots=True)
class Read:
    """What a file holds. `bad` are rows that can't be taken, `noted` those that are taken with a grain of salt: their
    line and why."""

    tickets: list[Foreign] = field(default_factory=list)
    rows: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    noted: list[tuple[int, str]] = field(default_factory=list)


def text_of(data: bytes, encoding: str | None = None) -> str:
    """A file's text. Raises Unreadable, which names the line that is not in this encoding."""
    name = encoding or ("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    try:
        text = data.decode(name)
    except LookupError:
        raise Unreadable(f"there is no encoding {name!r}") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        what = f"byte 0x{data[error.start]:02x} in line {line} is not {name.removesuffix('-sig').upper()}"
        raise Unreadable(f"{what}; say which encoding it is in (--encoding latin-1)") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Unreadable(f"line {line} holds the character U+0000: it is not text, or in another encoding")
    return text


def rows_of(text: str, read: Read, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines and rows of a CSV file by the names of its header, in lower case; of columns of the same name, the first.

    A row with too many or too few fields is bad; if it is the last, the file was cut, and Unreadable is raised.
    """
    for line, header, row in _rows(text, read, [(name,) for name in needed]):
        yield line, {name: row[at].strip() for name, at in header.items()}


def columns_of(text: str, read: Read, needed: Sequence[Sequence[str]]) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """The same with all columns of a name, in order. Of each of `needed` there must be one."""
    every: list[str] = []
    for line, header, row in _rows(text, read, needed, every):
        found: dict[str, list[str]] = {name: [] for name in header}
        for name, said in zip(every, row, strict=True):
            found[name].append(said.strip())
        yield line, found


def _rows(
    text: str, read: Read, needed: Sequence[Sequence[str]], names: list[str] | None = None
) -> Iterator[tuple[int, dict[str, int], list[str]]]:
    """Lines, the place of each name in the header, and rows; `names` is filled with the header."""
    csv.field_size_limit(MAX_FIELD)
    separator = max(",;\t", key=text[: text.find("\n") + 1 or None].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if names is not None:
            names += header
        missing = [some[0] for some in needed if not any(name in header for name in some)]
        if missing:
            raise Unreadable(f"line 1 has no column {', '.join(missing)}; it has {', '.join(header)[:300] or 'none'}")
        place = {name: header.index(name) for name in header}
        short: int | None = None
        for row in reader:
            if short is not None:
                read.bad.append((short, f"has another number of fields than the {len(header)} of line 1"))
            short = None
            if not row:
                continue
            read.rows += 1
            if len(row) != len(header):
                short = reader.line_num
                continue
            yield reader.line_num, place, row
        if short is not None:
            raise Unreadable(f"it ends in the middle of line {short}: it was cut")
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num}: {error}; it was cut, or is no CSV") from None


def word(row: Mapping[str, str], *names: str) -> str | None:
    """The first of these columns that says something."""
    return next((found for name in names if (found := row.get(name, "")).lower() not in EMPTY), None)


class Reader:
    """Reads single fields as a map says."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped
        zone = zone_of(mapped.zone)
        if zone is None:
            raise Unreadable(f"there is no time zone {mapped.zone[:60]!r}")
        self._zone = zone
        self._states = {name.lower(): Status(wanted) for name, wanted in mapped.states.items()}
        self.instant = lru_cache(maxsize=65_536)(self._instant)

    def _instant(self, text: str) -> datetime:
        """Raises BadRow."""
        for form in self._mapped.dates:
            try:
                found = datetime.strptime(text, form)  # noqa: DTZ007  # its zone is that of the map
            except ValueError:
                continue
            return (found if found.tzinfo else found.replace(tzinfo=self._zone)).astimezone(UTC)
        try:
            if self._zone is not UTC and not any(mark in text[10:] for mark in "Zz+-"):
                return datetime.fromisoformat(text).replace(tzinfo=self._zone).astimezone(UTC)
            return from_us(us_of_text(text))
        except (NotATime, OutOfRange, OverflowError, ValueError) as error:
            forms = f"; dates are read as {' or '.join(self._mapped.dates)}, or ISO 8601" if self._mapped.dates else ""
            raise BadRow(f"{text[:40]!r} is no time ({error}){forms}") from None

    def when(self, row: Mapping[str, str], name: str) -> datetime | None:
        """The instant in a column; None where it is empty. Raises BadRow."""
        text = word(row, name)
        if text is None:
            return None
        try:
            return self.instant(text)
        except BadRow as error:
            raise BadRow(f"{name}: {error}") from None

    def status(self, text: str) -> Status | None:
        """What a word for a state means; None for one that nobody explained."""
        found = self._states.get(text.lower())
        if found is None and text.upper().replace(" ", "_") in Status.__members__:
            return Status(text.upper().replace(" ", "_"))
        return found

    def priority(self, text: str | None) -> Priority:
        """P3 where nothing is said. Raises BadRow."""
        if text is None:
            return Priority.P3
        try:
            return priority_of(self._mapped.priorities.get(text, text.split(" ", 1)[0].split("-", 1)[0]))
        except ValueError as error:
            raise BadRow(f"priority: {error}") from None


def truth(text: str | None) -> bool | None:
    """Whether a word says yes; None for neither."""
    lower = (text or "").lower()
    return True if lower in _TRUE else False if lower in _FALSE else None


def level(text: str | None) -> int | None:
    """The impact or urgency that a text says, as `2`, `2 - Medium` or `medium`; None for none of the three."""
    lower = (text or "").lower()
    return int(lower[0]) if lower[:1] in {"1", "2", "3"} and not lower[1:2].isdigit() else _LEVELS.get(lower)


def number(row: Mapping[str, str], name: str) -> int:
    """The count in a column, 0 where it is empty. Raises BadRow."""
    text = word(row, name) or "0"
    if not text.isdecimal() or len(text) > 6:
        raise BadRow(f"{name}: {text[:40]!r} is no count")
    return int(text)
