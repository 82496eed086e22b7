"""Tickets that come from elsewhere, as they go in over HTTP, and what became of them."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator

from tocsin.kit.priorities import Priority
from tocsin.tickets.importing import Foreign, Said, Step, Tie
from tocsin.tickets.link_service import MAX_LINKS
from tocsin.tickets.links import Link
from tocsin.tickets.tags import MAX_TAGS
from tocsin.tickets.workflow import Status
from tocsin.web.schemas import In, Moment, Name, Out, PriorityIn, Prose, no_nul
from tocsin.web.schemas import Step as Level

MAX_TICKETS: Final = 100
MAX_STEPS: Final = 2_000


def _status(value: object) -> Status:
    try:
        return Status(str(value))
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Status)}") from None


def _link(value: object) -> Link:
    try:
        return Link(str(value))
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Link)}") from None


StatusIn = Annotated[Status, BeforeValidator(_status, json_schema_input_type=str)]
LinkKindIn = Annotated[Link, BeforeValidator(_link, json_schema_input_type=str)]
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
    by_alert: bool = Field(False, description="An alert reopened it: it is OPEN and not acknowledged any more.")


class OpenedAsIn(In):
    """What it was at first, where steps changed it."""

    priority: PriorityIn = Priority.P3
    team: _Word | None = None
    assignee: _Word | None = None


class SaidIn(In):
    """A comment."""

    at: Moment
    text: Prose = Field(min_length=1)
    by: Name
    edited_at: Moment | None = None


class TieIn(In):
    """What it is to another ticket of the same source, by its name there. Where that one comes later, they are linked
    then, if it says so too."""

    kind: LinkKindIn
    external_id: _Word
    at: Moment | None = None
    by: Name | None = None


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
    tags: list[str] = Field(default=[], max_length=MAX_TAGS)
    impact: Level | None = None
    urgency: Level | None = None
    resolution_code: _Word | None = None
    resolution_note: Prose | None = None
    comments: list[SaidIn] = Field(default=[], max_length=MAX_STEPS)
    links: list[TieIn] = Field(default=[], max_length=MAX_LINKS)

    def foreign(self) -> Foreign:
        """As the stage knows it."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        steps = tuple(Step(**{name: getattr(step, name) for name in type(step).model_fields}) for step in self.history)
        said = tuple(Said(**{name: getattr(one, name) for name in type(one).model_fields}) for one in self.comments)
        ties = tuple(Tie(**{name: getattr(one, name) for name in type(one).model_fields}) for one in self.links)
        first = {} if self.opened_as is None else {n: getattr(self.opened_as, n) for n in OpenedAsIn.model_fields}
        return Foreign(**{**values, "history": steps, "opened_as": first, "comments": said, "links": ties})


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
    known: int = Field(description="Imported before, or named earlier in the same request: they stay as they are.")
    rejected: list[RejectedTicketOut]
    ticket_ids: dict[str, int] = Field(description="The tickets of those that are here now, by external id.")
