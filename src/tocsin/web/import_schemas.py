"""Tickets that come from elsewhere, as they go in over HTTP, and what became of them."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator

from tocsin.kit.priorities import Priority
from tocsin.tickets.importing import Foreign, Step
from tocsin.tickets.workflow import Status
from tocsin.web.schemas import In, Moment, Name, Out, PriorityIn, Prose, no_nul

MAX_TICKETS: Final = 100
MAX_STEPS: Final = 2_000


def _status(value: object) -> Status:
    try:
        return Status(str(value))
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Status)}") from None


StatusIn = Annotated[Status, BeforeValidator(_status, json_schema_input_type=str)]
_Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(no_nul)]
_Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=256), AfterValidator(no_nul)]
_OrNone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=256), AfterValidator(no_nul)]
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]


class StepIn(In):
    """A change at the source. What is absent did not change; an empty text takes away or ends."""

    at: Moment
    status: StatusIn | None = None
    priority: PriorityIn | None = None
    team: _OrNone | None = None
    assignee: _OrNone | None = None
    held: _OrNone | None = Field(None, description="Why its clocks stand still from here on; empty: no longer.")
    note: Prose | None = None
    by: Name | None = None


class OpenedAsIn(In):
    """What it was at first, where steps changed it."""

    priority: PriorityIn = Priority.P3
    team: _Word | None = None
    assignee: _Word | None = None


class ImportedTicketIn(In):
    """A ticket as its source last knew it, and the steps that led there."""

    external_id: _Word = Field(examples=["INC0010023"])
    title: _Title
    description: Prose = ""
    priority: PriorityIn = Priority.P3
    service: _Word | None = None
    team: _Word | None = None
    assignee: _Word | None = None
    status: StatusIn
    opened_at: Moment
    acknowledged_at: Moment | None = None
    resolved_at: Moment | None = None
    closed_at: Moment | None = None
    reopen_count: int | None = Field(None, ge=0, le=1_000_000)
    reassignment_count: int = Field(0, ge=0, le=1_000_000)
    met: bool | None = Field(None, description="Whether it kept its SLA there.")
    opened_as: OpenedAsIn | None = None
    history: list[StepIn] = Field(default=[], max_length=MAX_STEPS)
    line: int | None = Field(None, ge=0, le=2**53, description="Where it stands in its file; errors name it.")

    def foreign(self) -> Foreign:
        """As the stage knows it."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        steps = tuple(Step(**{name: getattr(step, name) for name in type(step).model_fields}) for step in self.history)
        first = {} if self.opened_as is None else {n: getattr(self.opened_as, n) for n in OpenedAsIn.model_fields}
        return Foreign(**{**values, "history": steps, "opened_as": first})


class ImportIn(In):
    """Some tickets of one source. Each is looked at by itself: what is wrong with one doesn't keep the others out."""

    source: SourceName = Field(examples=["servicenow"])
    tickets: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_TICKETS, description="Each an `ImportedTicketIn`."
    )
    dry_run: bool = Field(False, description="Only say what would become of them.")

    @field_validator("source")
    @classmethod
    def _no_nul(cls, text: str) -> str:
        return no_nul(text)


class RejectedTicketOut(Out):
    """A ticket that was not imported, and why."""

    index: int
    external_id: str | None
    line: int | None
    field: str
    detail: str


class ImportOut(Out):
    """What became of the tickets."""

    created: int
    known: int = Field(description="Imported before: they stay as they are.")
    rejected: list[RejectedTicketOut]
    ticket_ids: dict[str, int] = Field(description="The tickets of those that are here now, by external id.")
