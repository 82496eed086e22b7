"""Comments, links and the priority matrix as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from tocsin.kit.priorities import Priority
from tocsin.tickets.matrix import DEFAULT, definition_of
from tocsin.web.schemas import In, Line, LinkOut, Out, QueryIn, Reason, Reckoned

_Place = Annotated[str, StringConstraints(max_length=10)]
_PriorityName = Annotated[str, StringConstraints(max_length=20)]


class CommentIn(In):
    """What there is to say, in Markdown; it is kept as it is given."""

    text: Reason = Field(examples=["The vendor **confirmed** the outage."])


class CommentOut(Out):
    """A comment. `version` is also its ETag."""

    id: int
    ticket_id: int
    text: str = Field(description="Markdown, as it was given: as HTML that is safe, ask for `html`. Empty if deleted.")
    author: str = Field(examples=["local:ana"])
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    version: int


class CommentShownOut(CommentOut):
    html: str | None = Field(
        description="With `html=true`, the text as HTML that is safe to show: HTML in it, images, and links to anything"
        " but http, https and mailto do not act.",
        examples=["<p>The vendor <strong>confirmed</strong> the outage.</p>\n"],
    )


class CommentPageOut(Out):
    items: list[CommentShownOut]
    next: str | None


class CommentShownIn(Reckoned):
    html: bool = Field(False, description="Give the text as safe HTML too.")


class CommentsIn(QueryIn):
    html: bool = Field(False, description="Give the texts as safe HTML too; then 20 at most on a page.")


class TicketMergeIn(In):
    """Which ticket is to be the one that goes on."""

    into: int = Field(ge=1, le=2**53, examples=[2])


class TicketSplitIn(In):
    """Which alerts are about something else, and what that is."""

    alerts: list[Annotated[int, Field(ge=1, le=2**53)]] = Field(min_length=1, max_length=1000, examples=[[4]])
    title: Line = Field(description="Of the new ticket.", examples=["Disk full on db-1"])
    reason: Reason = Field(examples=["Not the vendor's outage."])


class LinkIn(In):
    """What a ticket is to another one."""

    kind: str = Field(description="`duplicate_of`, `caused_by`, `recurrence_of`, `related`.", examples=["caused_by"])
    ticket_id: int = Field(ge=1, le=2**53, description="The other one.", examples=[2])


class LinkPageOut(Out):
    """The links of a ticket, the oldest first; a ticket has 500 at most, all of them are here."""

    items: list[LinkOut]
    next: None = None


class MatrixIn(In):
    """Which priority follows from impact and urgency."""

    priorities: dict[_Place, _PriorityName] = Field(
        description="By `impact,urgency`, each from 1 (high) to 3 (low); all nine.", examples=[definition_of(DEFAULT)]
    )


class MatrixOut(Out):
    """Which priority follows from impact and urgency. `version` is also its ETag; 0: nobody has changed it."""

    version: int
    priorities: dict[str, str] = Field(examples=[{"1,1": Priority.P1.name}])
