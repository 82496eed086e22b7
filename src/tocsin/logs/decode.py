"""From a request's body to checked columns: a fast path for our own shape, record by record for everything else."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from tocsin.kit.clock import EPOCH
from tocsin.kit.errors import Malformed, TooLarge
from tocsin.logs.formats.json_logger import Rejected, fields_of, json_error, read_fields
from tocsin.logs.formats.json_split import MAX_SPLIT_BYTES, NotAnArray, split_array
from tocsin.logs.formats.json_uniform import read_uniform
from tocsin.logs.levels import SEVERITY_BY_NAME, level_of_severity
from tocsin.logs.record import MAX_RECORD_BYTES, NO_ATTRIBUTES, UNKNOWN_SERVICE, Columns
from tocsin.logs.timestamps import MAX_AHEAD

MAX_SERVICE_CHARS: Final = 256
SLICE_BYTES: Final = 1 << 20
MAX_NAMED_ERRORS: Final = 100
MAX_RECORDS: Final = 1_000_000

_SEVERITIES: Final[dict[str, int]] = {
    spelling: number
    for name, number in SEVERITY_BY_NAME.items()
    for spelling in (name, name.lower(), name.capitalize())
}
_TO_LEVEL: Final = bytes(level_of_severity(min(n, 24)).value for n in range(256))
_CERTAINLY_SMALL: Final = MAX_RECORD_BYTES - 4096  # level, service and time take less than 4 KiB
_MAY_START_OBJECT: Final = frozenset(b"{ \t\r\n\v\f")
_MAX_DEPTH: Final = 10_000  # the decoder gives up long before
# The next bracket (or comma) of a JSON text; strings and whatever has no brackets in it are stepped over, at most
# 1,000 pieces at once: a search that goes on for long would hold the interpreter.
_PIECES: Final = rb'[^"\[\]{}%b]++|"(?:[^"\\]++|\\.)*+"'
_FLAT: Final = rb"[\[{](?:" + _PIECES % b"" + rb"){0,1000}+[\]}]"
_TO_BRACKET: Final = re.compile(rb"(?:" + _PIECES % b"" + rb"|" + _FLAT + rb"){0,1000}+([\[\]{}]?)", re.DOTALL)
_TO_COMMA: Final = re.compile(rb"(?:" + _PIECES % b"," + rb"|" + _FLAT + rb"){0,1000}+([\[\]{},]?)", re.DOTALL)


class TooManyRecords(TooLarge):
    """There are more than {limit} records in a body; send them in several."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one record of a batch was not kept. `index` counts the records of the body from 0.

    `field` is for people; `path` leads to the value, key by key.
    """

    index: int
    field: str
    detail: str
    path: tuple[str, ...] = ()


@dataclass(slots=True)
class Batch:
    """What one request brought: its valid records, and what was wrong with the others (the first 100 named)."""

    single: bool = False
    columns: Columns = field(default_factory=Columns)
    rejections: list[Rejection] = field(default_factory=list)
    rejected: int = 0

    @property
    def total(self) -> int:
        return len(self.columns) + self.rejected

    def reject(self, index: int, error: Rejected) -> None:
        self.rejected += 1
        if len(self.rejections) < MAX_NAMED_ERRORS:
            self.rejections.append(Rejection(index, error.field, error.detail, error.path))


_Objects = list[dict[str, msgspec.Raw]]


def _joined(batches: Sequence[Batch]) -> Batch:
    """The batches of one body as one."""
    if len(batches) == 1:
        return batches[0]
    return Batch(
        columns=Columns.joined([batch.columns for batch in batches]),
        rejections=[rejection for batch in batches for rejection in batch.rejections][:MAX_NAMED_ERRORS],
        rejected=sum(batch.rejected for batch in batches),
    )


class _AnyObject(msgspec.Struct, gc=False):
    """A JSON object of which nothing is kept."""


class _OwnShape(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Our own shape, nothing else: a record with any other field or type takes the path that renames."""

    message: str
    level: str = "INFO"
    service: str = UNKNOWN_SERVICE
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    attributes: msgspec.Raw = msgspec.Raw(NO_ATTRIBUTES)
    trace_id: str | None = None
    span_id: str | None = None
    source: str | None = None


_one = msgspec.json.Decoder(_OwnShape)
_array = msgspec.json.Decoder(list[_OwnShape])
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_object_array = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_any_objects = msgspec.json.Decoder(list[_AnyObject])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes, *, lines: bool, arrived: datetime) -> Batch:
    """The records of a body: JSON lines, or one JSON object or array.

    Raises Malformed when it can't be read at all, TooManyRecords.
    """
    if not lines and body[:1] == b"{" and len(body) <= MAX_RECORD_BYTES:
        one = _own_shape(body, _one)
        columns = None if one is None else _checked_one(one[0], arrived)
        if columns is not None:
            return Batch(single=True, columns=columns)
    return _joined(list(_decode_slices(body, lines=lines, arrived=arrived)))


def _decode_slices(body: bytes, *, lines: bool, arrived: datetime) -> Iterator[Batch]:
    """Slice by slice, so that no single step holds the interpreter for long."""
    if body[:1] not in {b"{", b"["}:
        body = body.removeprefix(BOM_UTF8).lstrip()
    start = body[:1]
    if not start:
        raise Malformed("the body is empty; expected a JSON object, an array of them, or JSON lines")
    if not lines and start == b"{":
        lines = not _is_one_value(body)
    if lines:
        yield from _decode_lines(body, arrived)
    elif start == b"[":
        yield from _decode_array(body, arrived)
    else:
        batch = _decode_raws([body], 0, arrived)
        batch.single = True
        yield batch


def _is_one_value(body: bytes) -> bool:
    """Whether a body that starts with `{` is one JSON value; JSON lines sent as application/json are not.

    Raises Malformed when it is neither.
    """
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except _DECODE_ERRORS as error:
        first, _, rest = body.strip().partition(b"\n")
        try:
            msgspec.json.decode(first, type=msgspec.Raw)
        except _DECODE_ERRORS:
            raise Malformed(_json_error(error, body)) from error
        if not rest:
            raise Malformed(_json_error(error, body)) from error
        return False
    return True


def _decode_lines(body: bytes, arrived: datetime) -> Iterator[Batch]:
    start, index = 0, 0
    while start < len(body):
        end = len(body) if len(body) - start <= SLICE_BYTES else body.find(b"\n", start + SLICE_BYTES) + 1 or len(body)
        part = body if end - start == len(body) else body[start:end]
        batch = _own_shape_lines(part, arrived)
        if batch is None:
            raws = [line for line in part.split(b"\n") if line.strip()]
            batch = _foreign(raws, _sound_objects(part, _objects.decode_lines), index, arrived)
        index += batch.total
        if index > MAX_RECORDS:
            raise TooManyRecords(limit=MAX_RECORDS)
        yield batch
        start = end


def _decode_array(body: bytes, arrived: datetime) -> Iterator[Batch]:
    if len(body) <= SLICE_BYTES:
        columns = _own_shape(body, _array)
        checked = None if columns is None else _checked(columns, arrived)
        if checked is not None:
            yield Batch(columns=checked)
            return
    if len(body) > 2 * MAX_RECORDS and body.count(b",") >= MAX_RECORDS and _has_too_many_elements(body):
        raise TooManyRecords(limit=MAX_RECORDS)
    try:
        raws = _raws.decode(body)
    except _DECODE_ERRORS as error:
        yield _decode_raws(_elements(body, error), 0, arrived)
        return
    for start, stop in _runs(raws):
        batch = _own_shape_lines(b"\n".join(raws[start:stop]), arrived) if len(raws) > stop - start else None
        if batch is None:
            part = b"[" + b",".join(raws[start:stop]) + b"]"
            found = _sound_objects(part, _object_array.decode)
            batch = _foreign([bytes(raw) for raw in raws[start:stop]], found, start, arrived)
        yield batch


def _elements(body: bytes, error: Exception) -> list[bytes]:
    """The elements of an array of which one can't be read; it is to be named, and the others kept."""
    if len(body) > MAX_SPLIT_BYTES:
        raise Malformed(_json_error(error, body)) from error
    try:
        elements = split_array(body)
    except NotAnArray:
        raise Malformed(_json_error(error, body)) from error
    if len(elements) > MAX_RECORDS:
        raise TooManyRecords(limit=MAX_RECORDS)
    return elements


def _has_too_many_elements(body: bytes) -> bool:
    """Whether a JSON array of over a million commas has too many elements; nothing is kept of them meanwhile."""
    if body.count(b"{") <= MAX_RECORDS:
        try:
            _any_objects.decode(body)
        except _DECODE_ERRORS:
            pass  # other elements among them, or no JSON: counted below
        else:
            return False
    depth = elements = at = 1  # after the first bracket
    while elements <= MAX_RECORDS:
        found = (_TO_COMMA if depth == 1 else _TO_BRACKET).match(body, at)
        if found is None or found.end() == at or depth > _MAX_DEPTH:
            return False  # no JSON: for the decoder to say
        at, mark = found.end(), found[1]
        elements += mark == b","
        depth += (mark in {b"[", b"{"}) - (mark in {b"]", b"}"})
        if mark and not depth:
            return False
    return True


def _runs(raws: Sequence[msgspec.Raw]) -> Iterator[tuple[int, int]]:
    """Cut points so that each run holds about SLICE_BYTES; one empty run for an empty array."""
    start = size = 0
    for index, raw in enumerate(raws):
        size += len(memoryview(raw))
        if size >= SLICE_BYTES:
            yield start, index + 1
            start, size = index + 1, 0
    if start < len(raws) or not raws:
        yield start, len(raws)


def _own_shape_lines(part: bytes, arrived: datetime) -> Batch | None:
    columns = _own_shape(part, _one, lines=True)
    checked = None if columns is None else _checked(columns, arrived)
    return None if checked is None else Batch(columns=checked)


def _own_shape(
    part: bytes,
    decoder: "msgspec.json.Decoder[_OwnShape] | msgspec.json.Decoder[list[_OwnShape]]",
    *,
    lines: bool = False,
) -> list[_OwnShape] | None:
    """All records of a body or slice in our own shape, or None when any of them needs the other path.

    Attributes pass through undecoded, so what a decoder would find wrong in them is looked for in the bytes.
    """
    if b"\\" in part and (b"\\u0000" in part or b"\\ud" in part or b"\\uD" in part):
        return None
    try:
        if not part.isascii():
            part.decode()
        decoded: Any = decoder.decode_lines(part) if lines else decoder.decode(part)
    except _DECODE_ERRORS:
        return None
    return decoded if isinstance(decoded, list) else [decoded]


def _checked(records: list[_OwnShape], arrived: datetime) -> Columns | None:
    """Columns of own-shape records; None when a value needs a closer look."""
    if not records:
        return Columns()
    joined = b"\0".join([r.attributes for r in records])  # no JSON text holds a zero byte; 2 x faster than bytes() each
    attributes = joined.split(b"\0")
    messages = [r.message for r in records]
    services = [r.service for r in records]
    names = set(services)
    try:
        severities = bytes([_SEVERITIES[r.level] for r in records])
    except KeyError:
        return None
    timestamps = [r.timestamp or arrived for r in records]
    plain = len(attributes) == len(records) and {text[:1] for text in attributes} == {b"{"}
    named = "" not in names and set(map(str.strip, names)) == names
    longest = len(joined) if len(joined) < MAX_RECORD_BYTES // 2 else max(map(len, attributes))
    longest += 4 * max(map(len, messages))
    small = longest <= _CERTAINLY_SMALL
    if not plain or not named or not small or max(map(len, names)) > MAX_SERVICE_CHARS:
        return None
    columns = Columns(timestamps, severities, severities.translate(_TO_LEVEL), services, messages, attributes)
    # Lists, not generators: four times faster, and nearly always all of them are empty.
    trace_ids, span_ids, sources = (
        [r.trace_id for r in records],
        [r.span_id for r in records],
        [r.source for r in records],
    )
    if any(trace_ids) or any(span_ids) or any(sources):
        columns.trace_ids, columns.span_ids, columns.sources = map(_filled, (trace_ids, span_ids, sources))
        if longest + sum(map(_longest_of, (columns.trace_ids, columns.span_ids, columns.sources))) > _CERTAINLY_SMALL:
            return None
    return hold_to_limits(columns, arrived)


def _checked_one(record: _OwnShape, arrived: datetime) -> Columns | None:
    """The same for a single record no larger than one may be, without what pays off for many only."""
    attributes = bytes(record.attributes)
    severity = _SEVERITIES.get(record.level)
    if severity is None or attributes[:1] != b"{" or not 0 < len(record.service) <= MAX_SERVICE_CHARS:
        return None
    if record.service != record.service.strip():
        return None
    level = _TO_LEVEL[severity : severity + 1]
    columns = Columns(
        [record.timestamp or arrived], bytes((severity,)), level, [record.service], [record.message], [attributes]
    )
    _put_sparse(columns, 0, trace_id=record.trace_id, span_id=record.span_id, source=record.source)
    return hold_to_limits(columns, arrived)


def _filled(texts: list[str | None]) -> dict[int, str]:
    return {row: text for row, text in enumerate(texts) if text} if any(texts) else {}


def _longest_of(texts: dict[int, str]) -> int:
    """At least as many bytes as the longest of the texts has; all together if that is little, as it is found faster."""
    joined = "".join(texts.values())
    together = len(joined) if joined.isascii() else 4 * len(joined)
    return together if together <= _CERTAINLY_SMALL // 2 else 4 * max(map(len, texts.values()))


def _put_sparse(columns: Columns, row: int, *, trace_id: str | None, span_id: str | None, source: str | None) -> None:
    if trace_id:
        columns.trace_ids[row] = trace_id
    if span_id:
        columns.span_ids[row] = span_id
    if source:
        columns.sources[row] = source


def hold_to_limits(columns: Columns, arrived: datetime) -> Columns:
    """Replace times before 1970 or more than 5 min ahead by the arrival time; the original is kept as `skewed`."""
    times = columns.timestamps
    latest = arrived + MAX_AHEAD
    if times and (min(times) < EPOCH or max(times) > latest):
        for row, time in enumerate(times):
            if time < EPOCH or time > latest:
                columns.skewed.setdefault(row, time.isoformat())
                times[row] = arrived
    return columns


def _foreign(raws: Sequence[bytes], found: _Objects | None, first_index: int, arrived: datetime) -> Batch:
    """A slice of some other logger's records: as columns where all are alike, else one by one."""
    if found is None or len(found) != len(raws) or max(map(len, raws), default=0) > MAX_RECORD_BYTES:
        return _decode_raws(raws, first_index, arrived)
    columns = read_uniform(found, arrived)
    if columns is not None and max(map(len, columns.services), default=0) <= MAX_SERVICE_CHARS:
        return Batch(columns=hold_to_limits(columns, arrived))
    return _decode_raws(raws, first_index, arrived, found=found)


def _sound_objects(part: bytes, read: Callable[[bytes], _Objects]) -> _Objects | None:
    """All records of a slice as objects at once, or None when one of them has to be looked at by itself."""
    if b"\\" in part and b"\\u" in part:
        return None
    try:
        if not part.isascii():
            part.decode()
        return read(part)
    except _DECODE_ERRORS:
        return None


def _decode_raws(raws: Sequence[bytes], first_index: int, arrived: datetime, *, found: _Objects | None = None) -> Batch:
    """Record by record, with renaming; each bad one is named and left out. `found` has them decoded already."""
    batch = Batch()
    columns, severities, levels = batch.columns, bytearray(), bytearray()
    for index, raw in enumerate(raws):
        if batch.rejected >= MAX_NAMED_ERRORS and raw[0] not in _MAY_START_OBJECT:
            batch.rejected += 1  # what is wrong with it is not told any more
            continue
        try:
            fields = read_fields(raw, arrived) if found is None else fields_of(found[index], arrived)
            if len(fields.service) > MAX_SERVICE_CHARS:
                detail = f"has {len(fields.service)} characters; at most {MAX_SERVICE_CHARS} are taken"
                raise Rejected("service", detail)
        except Rejected as error:
            batch.reject(first_index + index, error)
            continue
        row = len(columns.messages)
        columns.timestamps.append(fields.timestamp)
        severities.append(fields.severity)
        levels.append(fields.level)
        columns.services.append(fields.service)
        columns.messages.append(fields.message)
        columns.attributes.append(fields.attributes)
        _put_sparse(columns, row, trace_id=fields.trace_id, span_id=fields.span_id, source=fields.source)
        if fields.skewed is not None:
            columns.skewed[row] = fields.skewed
    columns.severities, columns.levels = bytes(severities), bytes(levels)
    hold_to_limits(columns, arrived)
    return batch


def _json_error(error: Exception, body: bytes) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 (byte {error.start})"
    return json_error(error, body) if isinstance(error, msgspec.DecodeError) else str(error)
