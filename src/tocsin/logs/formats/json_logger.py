"""One record of any JSON logger: which of its fields mean what ours mean; everything else becomes attributes."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from tocsin.kit.clock import EPOCH, MICROSECOND
from tocsin.logs.levels import (
    PINO_SEVERITIES,
    PYTHON_SEVERITIES,
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
    "message": ("message", "msg", "@message", "@m", "short_message", "MESSAGE", "body", "event", "log", "text", "line",
                "@mt"),
    "level": ("level", "severity", "severity_text", "severityText", "levelname", "level_name", "log.level", "log_level",
              "loglevel", "logLevel", "lvl", "@level", "@l", "PRIORITY", "levelno"),
    "severity_number": ("severity_number", "severityNumber"),
    "timestamp": ("timestamp", "@timestamp", "time", "ts", "datetime", "@t", "asctime", "eventTime", "event_time",
                  "timeUnixNano", "__REALTIME_TIMESTAMP", "date"),
    "service": ("service", "service.name", "service_name", "serviceName", "app", "application", "appname", "app_name",
                "program", "SYSLOG_IDENTIFIER", "logger", "logger_name", "loggerName"),
    "trace_id": ("trace_id", "traceId", "trace.id", "traceID", "dd.trace_id"),
    "span_id": ("span_id", "spanId", "span.id", "spanID", "dd.span_id"),
    "source": ("source",),
}  # fmt: skip
STRICT: Final = frozenset({"message", "msg", "level", "severity", "timestamp", "@timestamp", "service", "source"})
_MAX_SHAPES = 512

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_any = msgspec.json.Decoder()
_time = msgspec.json.Decoder(datetime)
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Rejected(ValueError):
    """A record can't be kept. `field` is the name the sender gave it; empty for the record as a whole."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(field, detail)
        self.field = field
        self.detail = detail


@dataclass(slots=True)
class Fields:
    """One record's fields, checked. `timestamp_us` counts microseconds since 1970, and may still lie in the future."""

    timestamp_us: int
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
class _Shape:
    """Which key of a logger's records means what. `rest` pairs each other key with its JSON form and a colon."""

    names: dict[str, str]
    rest: tuple[tuple[str, bytes], ...]
    pino: bool


@lru_cache(maxsize=_MAX_SHAPES)
def _shape_of(keys: tuple[str, ...]) -> _Shape:
    present = frozenset(keys)
    names = {field: name for field, aliases in ALIASES.items() for name in aliases[:1] if name in present}
    for field, aliases in ALIASES.items():
        if field not in names:
            names.update({field: name for name in reversed(aliases) if name in present})
    taken = {*names.values(), "attributes"}
    rest = tuple((key, msgspec.json.encode(key) + b":") for key in keys if key not in taken)
    pino = {"pid", "hostname"} <= present
    if pino and "service" not in names and "name" in present:
        names["service"] = "name"
        rest = tuple(pair for pair in rest if pair[0] != "name")
    return _Shape(names, rest, pino)


def read_fields(raw: bytes, arrived_us: int) -> Fields:
    """Read one JSON object. Raises Rejected with the field and what was expected of it."""
    if len(raw) > MAX_RECORD_BYTES:
        raise Rejected("", f"the record has {len(raw)} bytes; at most {MAX_RECORD_BYTES} are taken")
    found = _read_object(raw)
    shape = _shape_of(tuple(found))
    names = shape.names
    if "message" not in names:
        raise Rejected("message", "is missing; expected a string (also understood: msg, event, log, body, text)")
    spare = list(shape.rest)
    fields = Fields(
        timestamp_us=arrived_us,
        severity=Level.INFO,
        level=Level.INFO,
        service=UNKNOWN_SERVICE,
        message=_text(found, names["message"]),
        attributes=NO_ATTRIBUTES,
    )
    _read_time(fields, found, names.get("timestamp"), spare)
    _read_level(fields, found, shape, spare)
    _read_service(fields, found, names.get("service"), spare)
    fields.trace_id = _identifier(found, names.get("trace_id"))
    fields.span_id = _identifier(found, names.get("span_id"))
    if "source" in names:
        _read_source(fields, found, spare)
    fields.attributes = _attributes(found, spare)
    return fields


def _read_object(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not raw.isascii():
            raw.decode()
        found = _object.decode(raw)
        if b"\\u" in raw:
            _refuse_nul(_any.decode(raw), "")
    except msgspec.ValidationError as error:
        raise Rejected("", f"expected a JSON object: {error}") from error
    except UnicodeDecodeError as error:
        raise Rejected("", f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise Rejected("", "nested too deeply") from error
    except msgspec.DecodeError as error:
        surrogate = b"\\ud" in raw.lower()
        raise Rejected("", f"not valid JSON: {error}" + (" (an unpaired surrogate?)" if surrogate else "")) from error
    return found


def _refuse_nul(value: object, path: str) -> None:
    """Refuse U+0000 in any string or key: databases and terminals end texts there."""
    if isinstance(value, str):
        if "\0" in value:
            raise Rejected(path.lstrip("."), "holds the character U+0000, which is not kept")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, path)
            _refuse_nul(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_nul(item, f"{path}.{index}")


def _text(found: dict[str, msgspec.Raw], name: str) -> str:
    try:
        return _string.decode(found[name])
    except _DECODE_ERRORS as error:
        raise Rejected(name, f"expected a string, got {_kind(found[name])}") from error


def _keep_or_refuse(name: str, detail: str, spare: list[tuple[str, bytes]]) -> None:
    """A badly filled field is an error when its name can mean nothing else, and an attribute otherwise."""
    if name in STRICT:
        raise Rejected(name, detail)
    spare.append((name, msgspec.json.encode(name) + b":"))


def _read_time(fields: Fields, found: dict[str, msgspec.Raw], name: str | None, spare: list[tuple[str, bytes]]) -> None:
    if name is None:
        return
    raw = found[name]
    try:
        fields.timestamp_us = (_time.decode(raw) - EPOCH) // MICROSECOND
    except (*_DECODE_ERRORS, TypeError):
        value = _value(raw)
        if value is None or value == "":
            return
        try:
            fields.timestamp_us = _us(value)
        except OutOfRange:
            fields.skewed = str(value)
        except NotATime as error:
            _keep_or_refuse(name, str(error), spare)


def _us(value: object) -> int:
    if isinstance(value, str):
        return us_of_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return us_of_number(value)
    raise NotATime(f"expected an RFC 3339 time or an epoch number, got {_kind(msgspec.json.encode(value))}")


def _read_level(fields: Fields, found: dict[str, msgspec.Raw], shape: _Shape, spare: list[tuple[str, bytes]]) -> None:
    name, number_name = shape.names.get("level"), shape.names.get("severity_number")
    named: int | None = None
    if name is not None:
        value = _value(found[name])
        if value not in (None, ""):
            named = _severity(value, name, shape)
            if named is None:
                _keep_or_refuse(name, _no_level(value), spare)
    elif number_name is None and (nested := _nested(found, "log", "level")):
        named = severity_of_name(nested)  # the Elastic Common Schema, written as nested objects
    number = None if number_name is None else _otel_number(found[number_name], number_name)
    severity = number if number is not None else named
    if severity is not None:
        fields.severity = severity
        fields.level = level_of_severity(named if named is not None else severity)


def _severity(value: object, name: str, shape: _Shape) -> int | None:
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


def _read_service(
    fields: Fields, found: dict[str, msgspec.Raw], name: str | None, spare: list[tuple[str, bytes]]
) -> None:
    if name is None:
        return
    value = _value(found[name])
    if isinstance(value, dict):  # the Elastic Common Schema, written as nested objects
        if isinstance(value.get("name"), str):
            fields.service = value["name"].strip() or UNKNOWN_SERVICE
            if len(value) > 1:
                spare.append((name, msgspec.json.encode(name) + b":"))
            return
    elif isinstance(value, str):
        fields.service = value.strip() or UNKNOWN_SERVICE
        return
    elif value is None:
        return
    _keep_or_refuse(name, f"expected a string, got {_kind(found[name])}", spare)


def _read_source(fields: Fields, found: dict[str, msgspec.Raw], spare: list[tuple[str, bytes]]) -> None:
    value = _value(found["source"])
    if isinstance(value, str):
        fields.source = value or None
    elif value is not None:
        spare.append(("source", b'"source":'))


def _identifier(found: dict[str, msgspec.Raw], name: str | None) -> str | None:
    if name is None:
        return None
    value = _value(found[name])
    return None if value is None or value == "" else value if isinstance(value, str) else bytes(found[name]).decode()


def _nested(found: dict[str, msgspec.Raw], outer: str, inner: str) -> str | None:
    raw = found.get(outer)
    value = _value(raw) if raw is not None and bytes(raw)[:1] == b"{" else None
    named = value.get(inner) if isinstance(value, dict) else None
    return named if isinstance(named, str) else None


def _attributes(found: dict[str, msgspec.Raw], spare: list[tuple[str, bytes]]) -> bytes:
    """The sender's `attributes` object, verbatim, followed by all fields that mean nothing to us."""
    own = bytes(found["attributes"]) if "attributes" in found else NO_ATTRIBUTES
    if own == b"null":
        own = NO_ATTRIBUTES
    elif own[:1] != b"{":
        raise Rejected("attributes", f"expected an object, got {_kind(own)}")
    if not spare:
        return own
    inside = own[1:-1].strip()
    if inside:
        taken = set(_object.decode(own))
        spare = [(key, prefix if key not in taken else _free_name(key, taken)) for key, prefix in spare]
    parts = [prefix + bytes(found[key]) for key, prefix in spare]
    return b"{" + b",".join([inside, *parts] if inside else parts) + b"}"


def _free_name(key: str, taken: set[str]) -> bytes:
    """A field and an attribute share a name: the field gets underscores until nothing is lost."""
    while key in taken:
        key += "_"
    return msgspec.json.encode(key) + b":"


def _value(raw: msgspec.Raw) -> object:
    try:
        return _any.decode(raw)
    except _DECODE_ERRORS:
        return bytes(raw).decode(errors="replace")


def _kind(raw: "msgspec.Raw | bytes") -> str:
    first = bytes(raw)[:1]
    return {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "true", b"f": "false", b"n": "null"}.get(
        first, "a number"
    )
