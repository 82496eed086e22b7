"""Records of one logger at once: when all have the same fields, each field is read as a column."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec

from tocsin.logs.formats.json_logger import NAMED_LEVELS, Shape, shape_of
from tocsin.logs.levels import Level, level_of_severity
from tocsin.logs.record import NO_ATTRIBUTES, UNKNOWN_SERVICE, Columns

_TO_LEVEL: Final = bytes(level_of_severity(min(n, 24)).value for n in range(256))
_texts = msgspec.json.Decoder(list[str])
_texts_or_none = msgspec.json.Decoder(list[str | None])
_times = msgspec.json.Decoder(list[Annotated[datetime, msgspec.Meta(tz=True)]])

Objects = Sequence[dict[str, msgspec.Raw]]


def read_uniform(found: Objects, arrived: datetime) -> Columns | None:
    """The columns of objects that all have the same fields, plainly filled; None when one needs a closer look.

    Gives what `json_logger.fields_of` gives record by record, several times faster.
    """
    if not found:
        return Columns()
    shape = shape_of(tuple(found[0]))
    if shape.message is None or shape.own_attributes or shape.nested_level or shape.severity_number or shape.source:
        return None
    if set(map(len, found)) != {len(found[0])}:
        return None
    try:
        return _columns(found, shape, shape.message, arrived)
    except (KeyError, msgspec.DecodeError):  # other fields, or a value that is not of the plain kind
        return None


def _columns(found: Objects, shape: Shape, message: str, arrived: datetime) -> Columns:
    count = len(found)
    severities = bytes([Level.INFO]) * count
    if shape.level is not None:
        severities = bytes([NAMED_LEVELS[raw] for raw in _raw(found, shape.level)])
    services = [UNKNOWN_SERVICE] * count
    if shape.service is not None:
        services = _named(_texts.decode(_array(found, shape.service)))
    columns = Columns(
        [arrived] * count if shape.timestamp is None else _times.decode(_array(found, shape.timestamp)),
        severities,
        severities.translate(_TO_LEVEL),
        services,
        _texts.decode(_array(found, message)),
        _attributes(found, shape),
    )
    for name, sparse in ((shape.trace_id, columns.trace_ids), (shape.span_id, columns.span_ids)):
        if name is not None:
            ids = _texts_or_none.decode(_array(found, name))
            sparse.update({row: text for row, text in enumerate(ids) if text})
    return columns


def _array(found: Objects, name: str) -> bytes:
    return b"[" + b",".join([record[name] for record in found]) + b"]"


def _raw(found: Objects, name: str) -> list[bytes]:
    """The values as JSON text. No JSON text holds a zero byte."""
    return b"\0".join([record[name] for record in found]).split(b"\0")


def _named(services: list[str]) -> list[str]:
    if all(name and name == name.strip() for name in set(services)):
        return services
    return [name.strip() or UNKNOWN_SERVICE for name in services]


def _attributes(found: Objects, shape: Shape) -> list[bytes]:
    if not shape.rest:
        return [NO_ATTRIBUTES] * len(found)
    form = b"{" + b",".join(prefix.replace(b"%", b"%%") + b"%b" for _, prefix in shape.rest) + b"}"
    columns = [_raw(found, name) for name, _ in shape.rest]
    return [form % values for values in zip(*columns, strict=True)]
