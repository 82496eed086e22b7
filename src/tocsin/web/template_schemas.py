"""Templates as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.notify.message import Kind
from tocsin.notify.templates import MAX_SOURCE
from tocsin.notify.wording import Template
from tocsin.web.schemas import In, Line, Name, Out, no_nul

Source = Annotated[str, StringConstraints(max_length=MAX_SOURCE), AfterValidator(no_nul)]


class TemplateIn(In):
    """What messages say. A part that is absent is that of the default template."""

    title: Source | None = Field(
        None, examples=["[{{ ticket.priority }}] {{ ticket.service }}: {{ ticket.title|line(80) }}"]
    )
    text: Source | None = Field(None, examples=["{{ record.message|truncate(300) }}\nRunbook: {{ runbook_url }}"])
    html: Source | None = Field(None, description="For mails; what is put in is escaped.")
    payload: dict[str, Any] | None = Field(
        None,
        description="What a webhook sends: JSON whose texts are templates; a single `{{ }}` keeps its type.",
        examples=[{"summary": "{{ said.title }}", "count": "{{ records }}"}],
    )
    description: Annotated[str, StringConstraints(max_length=2000), AfterValidator(no_nul)] = ""

    def template(self, name: str) -> Template:
        """What is meant; it is checked when it is saved."""
        return Template(name, self.title, self.text, self.html, self.payload, self.description)


class TemplateOut(Out):
    """A template. `version` is also its ETag."""

    name: str
    version: int
    title: str | None
    text: str | None
    html: str | None
    payload: dict[str, Any] | None
    description: str
    created_at: datetime
    updated_at: datetime
    updated_by: str


class TemplatePageOut(Out):
    items: list[TemplateOut]
    next: str | None


class PreviewIn(TemplateIn):
    """A template to try: its parts, or the `name` of one that is saved."""

    name: Name | None = Field(None, description="A saved one; its parts are replaced by those that are given.")
    kind: Literal[tuple(Kind)] = Kind.PAGE  # type: ignore[valid-type]
    ticket_id: int | None = Field(None, ge=1, le=2**53, description="A ticket; without it, one that is made up.")
    person: Line | None = Field("ana", description="Who is told.")


class FaultOut(Out):
    part: str = Field(examples=["/text"])
    detail: str = Field(examples=["line 2: 'ticekt' is not known; there are ..."])
    line: int | None


class PreviewOut(Out):
    """What a message would say; nothing is saved or sent. With `problems`, the default template says it."""

    title: str
    text: str
    html: str
    payload: dict[str, Any] | None
    problems: list[FaultOut]
