"""The fields of a log record in the filter language."""

from typing import Final

from tocsin.logs.levels import Level, level_of_severity, severity_of_name
from tocsin.logs.timestamps import us_of_text
from tocsin.query.schema import Field, Kind, Schema


def _level(text: str) -> str | None:
    number = severity_of_name(text)
    return None if number is None else level_of_severity(number).name


_SEVERITIES: Final = {
    level.name: tuple(number for number in range(1, 25) if level_of_severity(number) is level) for level in Level
}
LOGS: Final = Schema(
    fields=(
        Field("id", Kind.NUMBER),
        Field("timestamp", Kind.INSTANT, parse_instant=us_of_text),
        Field("observed_at", Kind.INSTANT, parse_instant=us_of_text),
        Field(
            "level",
            Kind.ORDERED,
            column="severity_number",
            ranks={name: (numbers[0], numbers[-1]) for name, numbers in _SEVERITIES.items()},
            name_of=_level,
        ),
        Field("severity_number", Kind.NUMBER),
        Field("service", Kind.KEYWORD),
        Field("message", Kind.TEXT),
        Field("trace_id", Kind.KEYWORD),
        Field("span_id", Kind.KEYWORD),
        Field("source", Kind.KEYWORD),
        Field("backfill", Kind.BOOLEAN),
    ),
    anywhere=("message", "trace_id", "span_id"),
)
