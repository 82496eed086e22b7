"""Postmortems over HTTP: the draft of a ticket, what people wrote in its place, and its versions."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AfterValidator, Field, StringConstraints

from tocsin.storage.tx import Tx
from tocsin.tickets import postmortem_service as postmortems
from tocsin.tickets.postmortem_service import Postmortem
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.schemas import In, Out, ProblemOut, QueryIn, Reckoned, no_nul
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.tickets_routes import CHANGES, Id

router = APIRouter(tags=["tickets"])
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
MAX_CHARS: Final = 200_000
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_WRITES: Final[dict[int | str, dict[str, Any]]] = {404: CHANGES[404], 412: CHANGES[412]}
_MARKDOWN: Final[dict[int | str, dict[str, Any]]] = {
    **_MISSING,
    200: {"content": {"text/markdown": {"schema": {"type": "string"}}}},
}
_Document = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARS), AfterValidator(no_nul)]
_ACCEPTED: Final = re.compile(r"\s*([^;,\s]+)\s*(?:;[^,]*?\bq=([01](?:\.\d{0,3})?))?[^,]*", re.IGNORECASE)


class PostmortemIn(In):
    """The whole document."""

    text: _Document = Field(description="Markdown; it is kept as it is given.", examples=["# Postmortem of ticket 3\n"])


class PostmortemOut(Out):
    """The postmortem of a ticket. `version` is also its ETag; 0: nobody has written anything."""

    ticket_id: int
    version: int
    generated: bool = Field(description="It is the draft, made of what is known now.")
    text: str = Field(description="Markdown: whoever shows it has to make it safe.")
    written_at: datetime | None = Field(description="Null for the draft.")
    written_by: str | None


class PostmortemVersionOut(Out):
    version: int
    at: datetime
    actor: str
    text: str | None = Field(description="Null: from then on the draft held again.")


class PostmortemVersionPageOut(Out):
    items: list[PostmortemVersionOut]
    next: str | None


class PostmortemQueryIn(Reckoned):
    format: Literal["json", "markdown"] | None = Field(
        None, description="Else what `Accept` prefers: `application/json` or `text/markdown`."
    )
    version: int | None = Field(None, ge=1, le=2**31 - 1, description="What was written in this version.")


def prefers_markdown(accept: str | None) -> bool:
    """Whether a header `Accept` (RFC 9110 12.5.1) would rather have Markdown than JSON."""
    wish = {kind.lower(): float(share or 1) for kind, share in _ACCEPTED.findall(accept or "")}
    markdown = wish.get("text/markdown", 0.0)
    return markdown > 0 and markdown >= wish.get("application/json", 0.0)


def _answer(found: Postmortem, *, as_markdown: bool = False) -> Response:
    headers = {"etag": f'"{found.version}"', "vary": "accept"}
    if as_markdown:
        headers["content-disposition"] = f'inline; filename="postmortem-{found.ticket_id}.md"'
        headers["x-content-type-options"] = "nosniff"
        return Response(found.text, 200, headers, "text/markdown; charset=utf-8")
    written = found.written
    out = PostmortemOut(
        ticket_id=found.ticket_id,
        version=found.version,
        generated=found.generated,
        text=found.text,
        written_at=None if written is None else written.at,
        written_by=None if written is None else written.actor,
    )
    return Response(out.model_dump_json(), 200, headers, "application/json")


@router.get(
    "/tickets/{id}/postmortem", response_model=PostmortemOut, summary="A ticket's postmortem", responses=_MARKDOWN
)
def get_postmortem(
    id: Id,  # noqa: A002
    query: Annotated[PostmortemQueryIn, Query()],
    with_: With,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """The document to look back with: what people wrote, or else a draft.

    The draft is made of what is known now: how long it took, the timeline with comments and changes, the alerts with
    their first records, tickets that are linked or had the same trouble; with places for impact, root cause, what
    went well and badly, action items. Nothing that a log says acts in it.
    """
    as_markdown = query.format == "markdown" if query.format else prefers_markdown(accept)
    found = postmortems.get(with_.database, with_.logs, id, version=query.version)
    return _answer(found, as_markdown=as_markdown)


@router.put(
    "/tickets/{id}/postmortem", response_model=PostmortemOut, summary="Write a ticket's postmortem", responses=_WRITES
)
def put_postmortem(id: Id, postmortem: PostmortemIn, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Write over the draft, or over what was written before, which is kept as a version; also of a CLOSED ticket."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = agreed(postmortems.version_of(tx, id), seen)
        written = postmortems.save(tx, id, postmortem.text, seen_version=version)
        return _answer(Postmortem(id, postmortem.text, written.version, generated=False, written=written))

    return at.write(work)


@router.delete(
    "/tickets/{id}/postmortem",
    response_model=PostmortemOut,
    summary="Take a postmortem back to its draft",
    responses=_WRITES,
)
def drop_postmortem(id: Id, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Let the draft hold again, and get it. What was written stays among the versions."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        postmortems.drop(tx, id, seen_version=agreed(postmortems.version_of(tx, id), seen))
        return Response()

    at.write(work)
    return _answer(postmortems.get(at.services.database, at.services.logs, id))


@router.get("/tickets/{id}/postmortem/versions", summary="What a ticket's postmortem said", responses=_MISSING)
def postmortem_versions(id: Id, query: Annotated[QueryIn, Query()], with_: With) -> PostmortemVersionPageOut:  # noqa: A002
    """What people wrote and when, the newest first, with the texts; 20 at most on a page."""
    found, cursor = postmortems.versions(with_.database, id, cursor=query.cursor, limit=min(query.limit, 20))
    return PostmortemVersionPageOut(items=[PostmortemVersionOut.model_validate(one) for one in found], next=cursor)
