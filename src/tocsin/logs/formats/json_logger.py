"""One record of any JSON logger: which of its fields mean what ours mean; everything else becomes attributes."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from tocsin.kit.clock import from_us
from tocsin.logs.levels import (
    PINO_SEVERITIES,
    PYTHON_SEVERITIES,
    SEVERITY_BY_NAME,
    Level,
    level_of_severity,
    severity_of_name,
    severity_of_number,
)
from tocsin.logs.record import MAX_RECORD_BYTES, NO_ATTRIBUTES, UNKNOWN_SERVICE
from tocsin.logs.timestamps import NotATime, OutOfRange, us_of_number, us_of_text

# The names of a field, best first. The names in STRICT must hold a proper value; any other alias that does not is an
# attribute that happens to be called so.
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "message": ("message", "msg", "Message", "@message", "@m", "short_message", "MESSAGE", "body", "event", "log",
                "text", "line", "@mt", "RenderedMessage"),
    "level": ("level", "severity", "severity_text", "severityText", "levelname", "level_name", "log.level", "log_level",
              "loglevel", "logLevel", "lvl", "Level", "LogLevel", "@level", "@l", "PRIORITY", "levelno"),
    "severity_number": ("severity_number", "severityNumber"),
    "timestamp": ("timestamp", "@timestamp", "time", "ts", "Timestamp", "datetime", "@t", "asctime", "eventTime",
                  "event_time", "timeUnixNano", "__REALTIME_TIMESTAMP", "date"),
    "service": ("service", "service.name", "service_name", "serviceName", "app", "application", "appname", "app_name",
                "program", "SYSLOG_IDENTIFIER", "logger", "logger_name", "loggerName"),
    "trace_id": ("trace_id", "traceId", "trace.id", "traceID", "dd.trace_id"),
    "span_id": ("span_id", "spanId", "span.id", "spanID", "dd.span_id"),
    "source": ("source",),
}  # fmt: skip
STRICT: Final = frozenset({"message", "msg", "level", "severity", "timestamp", "@timestamp", "service", "source"})
MAX_KEPT_KEY_CHARS: Final = 4096
_MAX_SHAPES = 512

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_time = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)])
# Levels as JSON strings, in the spellings loggers use; everything else is looked at more closely.
NAMED_LEVELS: Final = {
    f'"{spelling}"'.encode(): number
    for name, number in SEVERITY_BY_NAME.items()
    for spelling in (name, name.lower(), name.capitalize())
}
_NO_LEVEL: Final = frozenset({b"null", b'""'})
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# One escape after the other, a surrogate pair as one; group 1 is a surrogate by itself.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


class Rejected(ValueError):
    """A record can't be kept. `field` is the name the sender gave it; empty for the record as a whole.

    `path` leads to the value, key by key: a key may hold a dot itself.
    """

    def __init__(self, field: str, detail: str, *, path: tuple[str, ...] | None = None) -> None:
        super().__init__(field, detail)
        self.field = field
        self.detail = detail
        self.path = path if path is not None else (field,) if field else ()


@dataclass(slots=True)
class Fields:
    """One record's fields, checked. `timestamp` is aware, and may still lie in the future."""

    timestamp: datetime
    severity: int
    level: int
    service: str
    message: str
    attributes: bytes
    trace_id: str | None = None
    span_id: str | None = None
    source: str | None = None
    skewed: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What the keys of a logger's records mean: the key of each field, None where there is none.

    `rest` pairs every other key with its JSON form and a colon; `pieces` are the same with the punctuation of an
    object, for records without attributes of their own.
    """

    message: str | None
    level: str | None
    severity_number: str | None
    timestamp: str | None
    service: str | None
    trace_id: str | None
    span_id: str | None
    source: str | None
    own_attributes: bool
    nested_level: bool
    rest: tuple[tuple[str, bytes], ...]
    pieces: tuple[tuple[str, bytes], ...]
    pino: bool


def shape_of(keys: tuple[str, ...]) -> Shape:
    """What these keys, in this order, mean. Very long ones are not remembered: the sender chooses their size."""
    remembered = len("".join(keys)) <= MAX_KEPT_KEY_CHARS
    return _shape_of(keys) if remembered else _shape_of.__wrapped__(keys)


@lru_cache(maxsize=_MAX_SHAPES)
def _shape_of(keys: tuple[str, ...]) -> Shape:
    present = frozenset(keys)
    names: dict[str, str | None] = {
        field: next((alias for alias in aliases if alias in present), None) for field, aliases in ALIASES.items()
    }
    pino = {"pid", "hostname"} <= present
    if pino and names["service"] is None and "name" in present:
        names["service"] = "name"
    taken = {*names.values(), "attributes"}
    rest = tuple((key, msgspec.json.encode(key) + b":") for key in keys if key not in taken)
    pieces = tuple((key, (b"," if index else b"{") + prefix) for index, (key, prefix) in enumerate(rest))
    return Shape(
        **names,
        own_attributes="attributes" in present,
        nested_level="log" in present and names["message"] != "log",
        rest=rest,
        pieces=pieces,
        pino=pino,
    )


def read_fields(raw: bytes, arrived: datetime) -> Fields:
    """Read one JSON object. Raises Rejected with the field and what was expected of it."""
    if len(raw) > MAX_RECORD_BYTES:
        raise Rejected("", f"the record has {len(raw)} bytes; at most {MAX_RECORD_BYTES} are taken")
    return fields_of(_read_object(raw), arrived)


def fields_of(found: dict[str, msgspec.Raw], arrived: datetime) -> Fields:
    """The fields of a JSON object whose values are known to be sound JSON without U+0000. Raises Rejected."""
    shape = shape_of(tuple(found))
    if shape.message is None:
        raise Rejected("message", "is missing; expected a string (also understood: msg, event, log, body, text)")
    try:
        message = _string.decode(found[shape.message])
    except _DECODE_ERRORS as error:
        raise Rejected(shape.message, f"expected a string, got {_kind(found[shape.message])}") from error
    fields = Fields(arrived, Level.INFO, Level.INFO, UNKNOWN_SERVICE, message, NO_ATTRIBUTES)
    spare: list[str] = []
    if shape.timestamp is not None:
        _read_time(fields, found[shape.timestamp], shape.timestamp, spare)
    _read_level(fields, found, shape, spare)
    if shape.service is not None:
        _read_service(fields, found[shape.service], shape.service, spare)
    if shape.trace_id is not None:
        fields.trace_id = _identifier(found[shape.trace_id])
    if shape.span_id is not None:
        fields.span_id = _identifier(found[shape.span_id])
    if shape.source is not None:
        _read_source(fields, found[shape.source], spare)
    if spare or shape.own_attributes:
        fields.attributes = _attributes(found, shape, spare)
    elif shape.pieces:
        parts: list[bytes | msgspec.Raw] = []
        for key, prefix in shape.pieces:
            parts += prefix, found[key]
        parts.append(b"}")
        fields.attributes = b"".join(parts)  # Raw is a buffer, which join takes
    return fields


def _read_object(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not raw.isascii():
            raw.decode()
        found = _object.decode(raw)
        if b"\\u" in raw:
            _refuse_nul(_any.decode(raw), ())
    except msgspec.ValidationError as error:
        raise Rejected("", f"expected a JSON object: {error}") from error
    except UnicodeDecodeError as error:
        raise Rejected("", f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise Rejected("", "nested too deeply") from error
    except msgspec.DecodeError as error:
        raise Rejected("", f"not valid JSON: {json_error(error, raw)}") from error
    return found


def json_error(error: msgspec.DecodeError, raw: bytes) -> str:
    """What is wrong with a JSON text; the decoder takes a surrogate at a string's end for the end of the text."""
    if b"\\u" in raw and any(found.group(1) for found in _ESCAPE.finditer(raw)):
        return "a string holds an unpaired surrogate"
    return str(error)


def _refuse_nul(value: object, path: tuple[str, ...]) -> None:
    """Refuse U+0000 in any string or key: databases and terminals end texts there."""
    if isinstance(value, str):
        if "\0" in value:
            raise Rejected(".".join(path), "holds the character U+0000, which is not kept", path=path)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, path)
            _refuse_nul(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, (*path, str(index)))


def _keep_or_refuse(name: str, detail: str, spare: list[str]) -> None:
    """A badly filled field is an error when its name can mean nothing else, and an attribute otherwise."""
    if name in STRICT:
        raise Rejected(name, detail)
    spare.append(name)


def _read_time(fields: Fields, raw: msgspec.Raw, name: str, spare: list[str]) -> None:
    try:
        fields.timestamp = _time.decode(raw)
    except _DECODE_ERRORS:
        value = _value(raw)
        if value is None or value == "":
            return
        try:
            fields.timestamp = from_us(_us(value))
        except (OutOfRange, OverflowError):
            fields.skewed = str(value)
        except NotATime as error:
            _keep_or_refuse(name, str(error), spare)


def _us(value: object) -> int:
    if isinstance(value, str):
        return us_of_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return us_of_number(value)
    raise NotATime(f"expected an RFC 3339 time or an epoch number, got {_kind(msgspec.json.encode(value))}")


def _read_level(fields: Fields, found: dict[str, msgspec.Raw], shape: Shape, spare: list[str]) -> None:
    named: int | None = None
    if shape.level is not None:
        raw = bytes(found[shape.level])
        named = NAMED_LEVELS.get(raw)
        if named is None and raw not in _NO_LEVEL:
            value = _value(raw)
            named = _severity(value, shape.level, shape)
            if named is None:
                _keep_or_refuse(shape.level, _no_level(value), spare)
    elif shape.nested_level and (nested := _nested(found["log"], "level")):
        named = severity_of_name(nested)  # the Elastic Common Schema, written as nested objects
    severity = named
    if shape.severity_number is not None:
        severity = _otel_number(found[shape.severity_number], shape.severity_number) or named
    if severity is not None:
        fields.severity = severity
        fields.level = level_of_severity(severity if named is None else named)


def _severity(value: object, name: str, shape: Shape) -> int | None:
    if isinstance(value, str):
        return severity_of_name(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    if name == "levelno":
        return PYTHON_SEVERITIES.get(value)
    return PINO_SEVERITIES.get(value) if shape.pino and value >= 10 else severity_of_number(value)


def _no_level(value: object) -> str:
    return (
        f"{str(value)[:60]!r} is not a level; expected TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL (or warn, err, "
        "fatal, notice, ...), a syslog severity 0..7 or an OpenTelemetry number 8..24"
    )


def _otel_number(raw: msgspec.Raw, name: str) -> int | None:
    value = _value(raw)
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 24:
        raise Rejected(name, "expected an OpenTelemetry SeverityNumber, 1..24")
    return value


def _read_service(fields: Fields, raw: msgspec.Raw, name: str, spare: list[str]) -> None:
    value = _value(raw)
    if isinstance(value, str):
        fields.service = value.strip() or UNKNOWN_SERVICE
    elif isinstance(value, dict) and isinstance(value.get("name"), str):
        fields.service = value["name"].strip() or UNKNOWN_SERVICE  # the Elastic Common Schema, as nested objects
        if len(value) > 1:
            spare.append(name)
    elif value is not None:
        _keep_or_refuse(name, f"expected a string, got {_kind(raw)}", spare)


def _read_source(fields: Fields, raw: msgspec.Raw, spare: list[str]) -> None:
    value = _value(raw)
    if isinstance(value, str):
        fields.source = value or None
    elif value is not None:
        spare.append("source")


def _identifier(raw: msgspec.Raw) -> str | None:
    value = _value(raw)
    return None if value is None or value == "" else value if isinstance(value, str) else bytes(raw).decode()


def _nested(raw: msgspec.Raw, inner: str) -> str | None:
    value = _value(raw)
    named = value.get(inner) if isinstance(value, dict) else None
    return named if isinstance(named, str) else None


def _attributes(found: dict[str, msgspec.Raw], shape: Shape, spare: list[str]) -> bytes:
    """The sender's `attributes` object, verbatim, followed by all fields that mean nothing to us."""
    own = bytes(found["attributes"]) if shape.own_attributes else NO_ATTRIBUTES
    if own == b"null":
        own = NO_ATTRIBUTES
    elif own[:1] != b"{":
        raise Rejected("attributes", f"expected an object, got {_kind(own)}")
    rest = [*shape.rest, *((name, msgspec.json.encode(name) + b":") for name in spare)]
    inside = own[1:-1].strip()
    if inside and rest:
        theirs = set(_object.decode(own))
        taken = theirs.union(key for key, _ in rest)
        rest = [(key, prefix if key not in theirs else _free_name(key, taken)) for key, prefix in rest]
    parts = [prefix + bytes(found[key]) for key, prefix in rest]
    return b"{" + b",".join([inside, *parts] if inside else parts) + b"}"


def _free_name(key: str, taken: set[str]) -> bytes:
    """A field and an attribute share a name: the field gets underscores until nothing is lost. Adds it to `taken`."""
    while key in taken:
        key += "_"
    taken.add(key)
    return msgspec.json.encode(key) + b":"


def _value(raw: "msgspec.Raw | bytes") -> object:
    try:
        return _any.decode(raw)
    except _DECODE_ERRORS:
        return bytes(raw).decode(errors="replace")


def _kind(raw: "msgspec.Raw | bytes") -> str:
    first = bytes(raw)[:1]
    return {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "true", b"f": "false", b"n": "null"}.get(
        first, "a number"
    )
