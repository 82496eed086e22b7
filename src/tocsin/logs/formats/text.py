"""Plain text logs: the format is found by looking at some lines; lines without a header belong to the record before."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from tocsin.logs.formats.finding import find_shape
from tocsin.logs.formats.header import learn_header
from tocsin.logs.formats.levelwords import level_of_word
from tocsin.logs.formats.lines import (
    JsonLines,
    LineFormat,
    LogfmtLines,
    PlainLines,
    SyslogLines,
    TextLines,
    plain_record,
)
from tocsin.logs.formats.logfmt import is_logfmt
from tocsin.logs.formats.syslog import BsdReader

SAMPLE_LINES: Final = 200
SAMPLE_CHARACTERS: Final = 1_000
JOINED_LINES: Final = 200
JOINED_CHARACTERS: Final = 64 * 1024

_PRI: Final = re.compile(r"<\d{1,3}>")


def detect(sample: Sequence[str], *, now: datetime) -> LineFormat:
    """The format of lines like these (at most 200 are looked at). Never raises."""
    lines = [line[:SAMPLE_CHARACTERS].rstrip("\r\n") for line in sample[: 5 * SAMPLE_LINES] if line.strip()]
    lines = lines[:SAMPLE_LINES]
    if not lines:
        return PlainLines()
    if _share(lines, lambda line: line.lstrip()[:1] == "{") >= 0.8:
        return JsonLines()
    if is_logfmt(lines):
        return LogfmtLines(now=now)
    if _share(lines, _PRI.match) >= 0.6 or _looks_like_syslog(lines, now=now):
        return SyslogLines(now=now, example=lines[0][:60])
    return _learn(lines, now)


def _learn(lines: Sequence[str], now: datetime) -> LineFormat:
    """Lines with a timestamp, else with a level, else of no form at all."""
    found = find_shape(lines, now=now)
    header = learn_header(found[1], found[0], now=now) if found else None
    if found and header and any(header.pattern.match(line) for line in found[1]):
        return TextLines(header, examples=found[1])
    unindented = [line for line in lines if not line[0].isspace()]
    header = learn_header(unindented, None, now=now)
    return TextLines(header, examples=unindented) if header and header.level else PlainLines()


def _share(lines: Sequence[str], test: Callable[[str], object]) -> float:
    return sum(1 for line in lines if test(line)) / len(lines)


def _looks_like_syslog(lines: Sequence[str], *, now: datetime) -> bool:
    """Whether most lines read `time host tag: message`, with hosts that aren't levels."""
    reader = BsdReader(now=now)
    found = [read[0] for line in lines if (read := reader.match(line))]
    tagged = [match for match in found if match["tag"]]
    if len(tagged) < 0.6 * len(lines):
        return False
    hosts = Counter(match["host"] for match in tagged)
    if any(host and level_of_word(host) for host in hosts):
        return False
    if "Y" not in tagged[0].re.groupindex:
        return True
    # With a year, only what rsyslog and journalctl write: a `T`, one or few hosts, and processes named by number.
    numbered = sum(1 for match in tagged if match["pid"])
    return "T" in tagged[0].string[:11] and None not in hosts and numbered >= 0.3 * len(tagged)


def records(lines: Iterable[str], line_format: LineFormat) -> Iterator[dict[str, object]]:
    """The records of lines, each with the lines that follow it and begin none, such as a stack trace's.

    A record takes at most 200 such lines or 64 KiB of text; then another begins with its timestamp and level.
    """
    joiner = Joiner(line_format)
    for line in lines:
        done = joiner.add(line)
        if done is not None:
            yield done
    last = joiner.finish()
    if last is not None:
        yield last


class Joiner:
    """Puts a record's lines together as they come. Blank lines at a record's end are dropped."""

    def __init__(self, line_format: LineFormat) -> None:
        self._format = line_format
        self._record: dict[str, object] | None = None
        self._parts: list[str] = []
        self._size = 0
        self._blank = 0

    def add(self, line: str) -> dict[str, object] | None:
        """Take one line, with or without its line end; the record it completes, if it does."""
        line = line.rstrip("\r\n")
        record = self._format.parse(line)
        if record is not None:
            return self._begin(record)
        if not line.strip():
            self._blank += 1
            return None
        if self._record is None:
            return self._begin(plain_record(line))
        added = self._blank + 1
        if len(self._parts) + added > JOINED_LINES or self._size + len(line) + added > JOINED_CHARACTERS:
            return self._begin(self._continued(self._record, line))
        self._parts.extend([*[""] * self._blank, line])
        self._size += len(line) + added
        self._blank = 0
        return None

    def finish(self) -> dict[str, object] | None:
        """The last record, if there is any."""
        done = self._record
        if done is not None and len(self._parts) > 1:
            done["message"] = "\n".join(self._parts)
        self._record = None
        return done

    def _begin(self, record: dict[str, object]) -> dict[str, object] | None:
        done = self.finish()
        self._record = record
        self._parts = [str(record["message"])]
        self._size = len(self._parts[0])
        self._blank = 0
        return done

    @staticmethod
    def _continued(record: dict[str, object], line: str) -> dict[str, object]:
        """A record for what no longer fits into this one."""
        return {**record, "message": line}
