"""Cutting an input into request bodies: JSON lines pass through untouched, other formats become our own shape."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from tocsin.logs.formats.lines import LineFormat
from tocsin.logs.formats.text import Joiner
from tocsin.logs.levels import level_of_severity, severity_of_name

BATCH_BYTES = 1 << 20
BATCH_RECORDS = 4_000
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Body:
    """One request's JSON lines. The input is read up to `end`, where the next batch begins."""

    lines: bytes
    start: int
    end: int
    count: int
    levels: Counter[str] = field(default_factory=Counter)


class _Level(msgspec.Struct):
    level: object = None
    severity: object = None


_levels = msgspec.json.Decoder(_Level)


def json_bodies(lines: Iterator[bytes], start: int) -> Iterator[Body]:
    """Batches of JSON lines, as they are."""
    parts: list[bytes] = []
    begin = end = start
    size = 0
    for line in lines:
        parts.append(line)
        size += len(line)
        end += len(line)
        if (size >= BATCH_BYTES or len(parts) >= BATCH_RECORDS) and line.endswith(b"\n"):
            yield _json_body(parts, begin, end)
            parts, begin, size = [], end, 0
    if parts:
        yield _json_body(parts, begin, end)


def _json_body(parts: list[bytes], begin: int, end: int) -> Body:
    lines = b"".join(parts)
    levels: Counter[str] = Counter()
    try:
        levels.update(_level_name(found.level or found.severity) for found in _levels.decode_lines(lines))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        levels["(not counted)"] = len(parts)
    return Body(lines, begin, end, sum(1 for part in parts if not part.isspace()), levels)


def _level_name(value: object) -> str:
    number = severity_of_name(str(value)) if value is not None else 9
    return level_of_severity(number).name if number is not None else "(not a level)"


def text_bodies(
    lines: Iterator[bytes], start: int, line_format: LineFormat, *, service: str, source: str
) -> Iterator[Body]:
    """Batches of records read by `line_format`; those that name no service get `service`."""
    joiner = Joiner(line_format)
    records: list[bytes] = []
    levels: Counter[str] = Counter()
    begin = offset = start
    size = 0
    for line in lines:
        done = joiner.add(_text(line))
        if done is not None:
            records.append(_encoded(done, levels, service=service, source=source))
            size += len(records[-1])
            if size >= BATCH_BYTES or len(records) >= BATCH_RECORDS:
                yield Body(b"\n".join(records), begin, offset, len(records), levels)
                records, levels, begin, size = [], Counter(), offset, 0
        offset += len(line)
    last = joiner.finish()
    if last is not None:
        records.append(_encoded(last, levels, service=service, source=source))
    if records:
        yield Body(b"\n".join(records), begin, offset, len(records), levels)


def _encoded(record: dict[str, object], levels: Counter[str], *, service: str, source: str) -> bytes:
    record.setdefault("service", service)
    record["source"] = source
    levels[str(record["level"])] += 1
    return _ENCODER.encode(record)


def _text(line: bytes) -> str:
    """UTF-8, or Latin-1 where it is not; U+0000, which no record may hold, becomes U+FFFD."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("latin-1")
    return text.replace("\0", "\ufffd") if "\0" in text else text
