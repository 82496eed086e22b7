"""What people do together over HTTP: comments, links between tickets, the priority matrix."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.kit.errors import FieldError, Invalid
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import comment_service as comments
from tocsin.tickets import link_service, matrix_service, merge_service, split_service
from tocsin.tickets import service as tickets
from tocsin.tickets.comment_store import Comment
from tocsin.tickets.links import SAID, Link
from tocsin.tickets.markdown_html import as_html
from tocsin.tickets.split_service import Parting
from tocsin.web.collaboration_schemas import (
    CommentIn,
    CommentOut,
    CommentPageOut,
    CommentShownIn,
    CommentShownOut,
    CommentsIn,
    LinkIn,
    LinkPageOut,
    MatrixIn,
    MatrixOut,
    TicketMergeIn,
    TicketSplitIn,
)
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, TicketOut
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.tickets_routes import CHANGES, Id, agreed_version, links_out, ticket_answer

router = APIRouter(tags=["tickets"])
CommentId = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
MAX_RENDERED: Final = 20  # comments on a page that come as HTML
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_OWN: Final[dict[int | str, dict[str, Any]]] = {
    **_MISSING,
    403: {"model": ProblemOut, "description": "Somebody else wrote it"},
    409: {"model": ProblemOut, "description": "It was deleted"},
    412: {"model": ProblemOut, "description": "If-Match names another version"},
}
_LINKED: Final[dict[int | str, dict[str, Any]]] = {
    **_MISSING,
    409: {"model": ProblemOut, "description": "They are linked so already, this way or the other"},
}


def _comment(comment: Comment, status: int = 200) -> Response:
    headers = {"etag": f'"{comment.version}"'}
    if status == 201:
        headers["location"] = f"/tickets/{comment.ticket_id}/comments/{comment.id}"
    return Response(CommentOut.model_validate(comment).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, ticket_id: int, comment_id: int, if_match: str | None) -> int | None:
    return agreed(comments.get(tx, ticket_id, comment_id).version, seen_tags(if_match))


@router.get("/tickets/{id}/comments", summary="A ticket's comments", responses=_MISSING)
def list_comments(id: Id, query: Annotated[CommentsIn, Query()], with_: With) -> CommentPageOut:  # noqa: A002
    """The comments on a ticket, the oldest first. One that was deleted keeps its place, without its text."""
    limit = min(query.limit, MAX_RENDERED) if query.html else query.limit
    found, cursor = comments.find(with_.database, id, cursor=query.cursor, limit=limit)
    return CommentPageOut(items=[_shown(one, html=query.html) for one in found], next=cursor)


def _shown(comment: Comment, *, html: bool) -> CommentShownOut:
    plain = CommentOut.model_validate(comment).model_dump()
    return CommentShownOut(**plain, html=as_html(comment.text) if html else None)


@router.post(
    "/tickets/{id}/comments",
    status_code=201,
    response_model=CommentOut,
    summary="Comment on a ticket",
    responses=_MISSING,
)
def add_comment(id: Id, comment: CommentIn, at: AtDesk) -> Response:  # noqa: A002
    """Comment on a ticket, also on one that is CLOSED."""
    return at.write(lambda tx: _comment(comments.add(tx, id, comment.text), 201))


@router.get(
    "/tickets/{id}/comments/{comment_id}", response_model=CommentShownOut, summary="One comment", responses=_MISSING
)
def get_comment(
    id: Id,  # noqa: A002
    comment_id: CommentId,
    query: Annotated[CommentShownIn, Query()],
    with_: With,
) -> Response:
    """A comment on a ticket."""
    comment = with_.database.read(lambda tx: comments.get(tx, id, comment_id))
    out = _shown(comment, html=query.html)
    return Response(out.model_dump_json(), 200, {"etag": f'"{comment.version}"'}, "application/json")


@router.patch(
    "/tickets/{id}/comments/{comment_id}", response_model=CommentOut, summary="Edit a comment", responses=_OWN
)
def edit_comment(
    id: Id,  # noqa: A002
    comment_id: CommentId,
    comment: CommentIn,
    at: AtDesk,
    if_match: IfMatch = None,
) -> Response:
    """Replace the text of one's own comment; that it was edited, and when, stays to be seen."""
    return at.write(
        lambda tx: _comment(
            comments.edit(tx, id, comment_id, comment.text, seen_version=_agreed(tx, id, comment_id, if_match))
        )
    )


@router.delete(
    "/tickets/{id}/comments/{comment_id}", response_model=CommentOut, summary="Delete a comment", responses=_OWN
)
def delete_comment(id: Id, comment_id: CommentId, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Take one's own comment back: its text is gone, that there was one stays to be seen."""
    return at.write(
        lambda tx: _comment(comments.delete(tx, id, comment_id, seen_version=_agreed(tx, id, comment_id, if_match)))
    )


def _links(tx: ReadTx, ticket_id: int, status: int = 200) -> Response:
    tickets.get(tx, ticket_id)
    body = LinkPageOut(items=links_out(tx, ticket_id)).model_dump_json()
    return Response(body, status, media_type="application/json")


def _kind(text: str, kinds: tuple[Link, ...]) -> Link:
    try:
        return next(kind for kind in kinds if kind.value == text.strip().lower().replace("-", "_"))
    except StopIteration:
        detail = f"{text[:40]!r} is none of {', '.join(kinds)}"
        raise Invalid(f"kind: {detail}", errors=(FieldError("/kind", detail),)) from None


@router.get("/tickets/{id}/links", response_model=LinkPageOut, summary="A ticket's links", responses=_MISSING)
def list_links(id: Id, with_: With) -> Response:  # noqa: A002
    """What a ticket is to other tickets."""
    return with_.database.read(lambda tx: _links(tx, id))


@router.post(
    "/tickets/{id}/links",
    status_code=201,
    response_model=LinkPageOut,
    summary="Link two tickets",
    responses=_LINKED,
)
def link_tickets(id: Id, link: LinkIn, at: AtDesk) -> Response:  # noqa: A002
    """Say what a ticket is to another one, and get its links; both tickets show it. CLOSED tickets may be linked."""
    kind = _kind(link.kind, SAID)

    def work(tx: Tx) -> Response:
        link_service.link(tx, id, kind, link.ticket_id)
        return _links(tx, id, 201)

    return at.write(work)


@router.delete(
    "/tickets/{id}/links/{kind}/{other_id}", response_model=LinkPageOut, summary="Unlink tickets", responses=_MISSING
)
def unlink_tickets(id: Id, kind: str, other_id: Id, at: AtDesk) -> Response:  # noqa: A002
    """Take a link away, as either of its tickets shows it, and get the links that are left."""
    wanted = _kind(kind, tuple(Link))

    def work(tx: Tx) -> Response:
        link_service.unlink(tx, id, wanted, other_id)
        return _links(tx, id)

    return at.write(work)


@router.post("/tickets/{id}/merge", response_model=TicketOut, summary="Merge a ticket into another", responses=CHANGES)
def merge_ticket(id: Id, merging: TicketMergeIn, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Close a ticket as the duplicate of another one. Both must be OPEN or IN_PROGRESS.

    Its alerts and its correlation keys go over, so that further records count there; its clocks are cancelled. The
    other one becomes as urgent as it was. 409 when either was moved at the same moment.
    """
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(
            tx, merge_service.merge(tx, id, merging.into, seen_version=agreed_version(tx, id, seen))
        )
    )


@router.post("/tickets/{id}/unmerge", response_model=TicketOut, summary="Undo a merge", responses=CHANGES)
def unmerge_ticket(id: Id, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Let a ticket that was merged go on where it was, with its alerts and with those that came since by its keys.

    409 once the other ticket is RESOLVED or CLOSED. The other one gets its priority back, unless something else has
    asked for the one it has; a hold that the merge ended goes on, if its end has not come.
    """
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(tx, merge_service.unmerge(tx, id, seen_version=agreed_version(tx, id, seen)))
    )


@router.post(
    "/tickets/{id}/split",
    status_code=201,
    response_model=TicketOut,
    summary="Split alerts off a ticket",
    responses=CHANGES,
)
def split_ticket(id: Id, splitting: TicketSplitIn, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Give some alerts of a ticket that is OPEN or IN_PROGRESS to a new one, which is answered.

    Their correlation keys go too, so that further records count there; alerts with one key go together, and at least
    one alert stays. The new ticket stands where this one does, with its assignee; its clocks run since the first of
    those alerts opened, and what was acknowledged, on hold or resolved since then is so for both. The two are linked.
    409 when this one gathers a storm, or was changed at the same moment.
    """
    seen = seen_tags(if_match)
    parting = Parting(splitting.alerts, splitting.title, splitting.reason)
    return at.write(
        lambda tx: ticket_answer(
            tx, split_service.split(tx, id, parting, seen_version=agreed_version(tx, id, seen)), 201
        )
    )


@router.post("/tickets/{id}/unsplit", response_model=TicketOut, summary="Undo a split", responses=CHANGES)
def unsplit_ticket(id: Id, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Merge a ticket that was split off into the one that it came from, with all that has joined it since.

    409 once either is RESOLVED or CLOSED. `unmerge` parts them again.
    """
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(tx, split_service.unsplit(tx, id, seen_version=agreed_version(tx, id, seen)))
    )


def _matrix(version: int, priorities: dict[str, str]) -> Response:
    body = MatrixOut(version=version, priorities=priorities).model_dump_json()
    return Response(body, 200, {"etag": f'"{version}"'}, "application/json")


@router.get("/sla/matrix", response_model=MatrixOut, summary="The priority matrix", tags=["sla"])
def get_matrix(with_: With) -> Response:
    """Which priority a ticket gets when its impact and its urgency are set."""
    return _matrix(*with_.database.read(matrix_service.get))


@router.put("/sla/matrix", response_model=MatrixOut, summary="Replace the priority matrix", tags=["sla"], responses={
    412: CHANGES[412]
})  # fmt: skip
def put_matrix(matrix: MatrixIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all nine priorities. Tickets keep the priority they have until their impact or urgency is set again."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = agreed(matrix_service.get(tx)[0], seen)
        return _matrix(*matrix_service.save(tx, matrix.priorities, seen_version=version))

    return at.write(work)
