"""The fields of a ticket in the filter language."""

from typing import Final

from tocsin.kit.priorities import Priority, priority_of
from tocsin.logs.timestamps import us_of_text
from tocsin.query.schema import Field, Kind, Schema
from tocsin.tickets.sla import State
from tocsin.tickets.workflow import Status


def _priority(text: str) -> str:
    return priority_of(text).name


TICKETS: Final = Schema(
    fields=(
        Field("id", Kind.NUMBER),
        Field("status", Kind.KEYWORD, values=tuple(Status)),
        Field(
            "priority",
            Kind.ORDERED,
            ranks={priority.name: (priority.value, priority.value) for priority in Priority},
            name_of=_priority,
        ),
        Field("sla", Kind.KEYWORD, values=tuple(State)),
        Field("service", Kind.KEYWORD),
        Field("title", Kind.TEXT),
        Field("description", Kind.TEXT),
        Field("comment", Kind.TEXT),
        Field("assignee", Kind.KEYWORD),
        Field("opened_by", Kind.KEYWORD),
        Field("team", Kind.KEYWORD),
        Field("tag", Kind.KEYWORD),
        Field("impact", Kind.NUMBER),
        Field("urgency", Kind.NUMBER),
        Field("resolution_code", Kind.KEYWORD),
        *(
            Field(name, Kind.INSTANT, parse_instant=us_of_text)
            for name in (
                "opened_at",
                "updated_at",
                "acknowledged_at",
                "resolved_at",
                "closed_at",
                "held_since",
                "held_until",
                "sla_due_at",
            )
        ),
        Field("source", Kind.KEYWORD),
        Field("external_id", Kind.KEYWORD),
        Field("reopen_count", Kind.NUMBER),
        Field("recurrence_of", Kind.NUMBER),
        Field("merged_into", Kind.NUMBER),
        Field("split_from", Kind.NUMBER),
    ),
    anywhere=("title", "description", "comment"),
    attributes=False,
    regexes=False,
)
