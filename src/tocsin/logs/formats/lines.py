"""The formats a source of lines may have: each reads one line into a record of our own JSON shape."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tocsin.logs.formats.header import Header
from tocsin.logs.formats.levelwords import LEVEL_BY_NAME, level_of_word
from tocsin.logs.formats.logfmt import StampTexts, record_of_pairs
from tocsin.logs.formats.syslog import BsdReader, NotSyslog, number_or_text, parse_rfc5424, record_of

DEFAULT_LEVEL: Final = "INFO"

_NUMBERS: Final = frozenset({"pid", "tid", "line", "status"})


class LineFormat(ABC):
    """How the lines of one source are read. `name` is jsonl, syslog, text or logfmt."""

    name: str

    @abstractmethod
    def parse(self, line: str) -> dict[str, object] | None:
        """The line as a record of our own JSON shape; None when it begins no record. Never raises."""

    @abstractmethod
    def describe(self) -> str:
        """One sentence about what was found, for the summary of an import."""


class JsonLines(LineFormat):
    """Lines that are JSON objects; the intake reads them itself."""

    name = "jsonl"

    def parse(self, line: str) -> dict[str, object] | None:
        """The line as a message: nothing reads JSON here."""
        return plain_record(line)

    def describe(self) -> str:
        """One sentence about what was found."""
        return "JSON objects, one a line"


class SyslogLines(LineFormat):
    """Syslog with or without PRI, of RFC 5424, RFC 3164 or rsyslog's file format, mixed as they come."""

    name = "syslog"

    def __init__(self, *, now: datetime, example: str = "") -> None:
        self._bsd = BsdReader(now=now)
        self._example = example

    def parse(self, line: str) -> dict[str, object] | None:
        """The line as a record; a line with PRI but no other header is a message of that severity."""
        if line[:1] == "<":
            try:
                return record_of(parse_rfc5424(line))
            except NotSyslog:
                pass
        return self._bsd.record(line) or self._bsd.bare_record(line)

    def describe(self) -> str:
        """One sentence about what was found."""
        return f"syslog lines like `{self._example}`" if self._example else "syslog lines"


class LogfmtLines(LineFormat):
    """Lines of `key=value` pairs."""

    name = "logfmt"

    def __init__(self, *, now: datetime) -> None:
        self._stamps = StampTexts(now=now)

    def parse(self, line: str) -> dict[str, object] | None:
        """The line as a record; None when it holds no pair."""
        return record_of_pairs(line, self._stamps)

    def describe(self) -> str:
        """One sentence about what was found."""
        return 'logfmt pairs like `level=info msg="..."`'


class PlainLines(LineFormat):
    """Lines of no common form: every one is a record."""

    name = "text"

    def parse(self, line: str) -> dict[str, object] | None:
        """The line as a record; None when it is blank."""
        return plain_record(line) if line.strip() else None

    def describe(self) -> str:
        """One sentence about what was found."""
        return "plain lines without timestamps or levels"


class TextLines(LineFormat):
    """Lines with a header learnt from a sample; `examples` are the sample's lines that have it."""

    name = "text"

    def __init__(self, header: Header, *, examples: Sequence[str]) -> None:
        self._header = header
        self._examples = examples

    def parse(self, line: str) -> dict[str, object] | None:
        """The line as a record; None when it lacks the header that the sample's lines have."""
        header = self._header
        match = header.pattern.match(line)
        if match is None:
            return self._without_header(line)
        record: dict[str, object] = {}
        attributes: dict[str, object] = {}
        if header.reader is not None:
            stamp = header.reader.read(match)
            if stamp is not None:
                record["timestamp"] = stamp
            elif header.reader.shape.dated:
                return None
            else:
                attributes["time"] = header.reader.text(match)
        word = match[header.level] if header.level else None
        level = None if word is None else LEVEL_BY_NAME.get(word) or level_of_word(word)
        record["level"] = level or DEFAULT_LEVEL
        record["message"] = match[header.message]
        record["attributes"] = attributes
        fields = header.fields
        if word is not None and level is None:
            if header.reader is None:
                return self._without_header(line)
            fields = self._without_level(match, record, attributes)
        for name, group in fields:
            value = match[group]
            if value and value != "-":
                value = value.strip()
                attributes[name] = number_or_text(value) if name in _NUMBERS else value
        if "service" in attributes:
            _raise_service(record, attributes)
        return record

    def _without_level(
        self, match: re.Match[str], record: dict[str, object], attributes: dict[str, object]
    ) -> tuple[tuple[str, int], ...]:
        """Another word stands where the level should; gives the attributes that can be trusted all the same."""
        header = self._header
        if header.level_bracketed:
            attributes["severity"] = match[header.level]
            return header.fields
        if header.cut:
            record["message"] = match.string[match.start(header.cut) :]
            return header.kept
        record["message"] = f"{match[header.level]} {match[header.message]}"
        return header.fields

    def _without_header(self, line: str) -> dict[str, object] | None:
        """Where there are no timestamps, a line that isn't indented is a record of its own."""
        return None if self._header.reader is not None or not line or line[0].isspace() else plain_record(line)

    def describe(self) -> str:
        """One sentence about what was found."""
        header = self._header
        found = (header.pattern.match(line) for line in self._examples)
        match = next((one for one in found if one), None)
        stamp = "no timestamps"
        if header.reader is not None:
            example = f" like `{header.reader.text(match)}`" if match else ""
            stamp = f"timestamps{example} at column {header.stamp_column}"
        level = "levels in the timestamp" if header.level else "no levels"
        if header.level_column is not None:
            level = f"levels in column {header.level_column}"
        names: dict[str, None] = {}
        for line in self._examples:
            attributes = (self.parse(line) or {}).get("attributes")
            names.update(dict.fromkeys(attributes) if isinstance(attributes, dict) else {})
        return f"{stamp}, {level}" + (f"; attributes {', '.join(names)}" if names else "")


def plain_record(line: str) -> dict[str, object]:
    """A line of which nothing is known but its text."""
    return {"level": DEFAULT_LEVEL, "message": line, "attributes": {}}


def _raise_service(record: dict[str, object], attributes: dict[str, object]) -> None:
    record["service"] = attributes.pop("service")
    if attributes.get("logger") == record["service"]:
        del attributes["logger"]
