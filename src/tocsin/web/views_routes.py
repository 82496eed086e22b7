"""Views over HTTP: queries for tickets that are kept under a name."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.storage.tx import Tx
from tocsin.tickets import view_service as views
from tocsin.tickets.view_store import ViewRow
from tocsin.web.finding_schemas import ViewIn, ViewOut, ViewPageOut
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, QueryIn
from tocsin.web.services import Desk, desk

router = APIRouter(tags=["tickets"])
VIEW_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]*$"
Name = Annotated[str, Path(pattern=VIEW_PATTERN, max_length=100)]
AtDesk = Annotated[Desk, Depends(desk)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_SAVED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": ViewOut, "description": "It is new"},
    403: {"model": ProblemOut, "description": "Somebody else shares it: only they may stop that"},
    **_MISSING,
    409: {"model": ProblemOut, "description": "Somebody else has a view of their own of that name"},
    **_STALE,
}


def _answer(view: ViewRow, status: int = 200) -> Response:
    headers = {"etag": f'"{view.version}"'}
    if status == 201:
        headers["location"] = f"/views/{view.name}"
    return Response(ViewOut.model_validate(view).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(views.get(tx, name, tx.actor).version, seen)


@router.get("/views", summary="List views")
def list_views(query: Annotated[QueryIn, Query()], at: AtDesk) -> ViewPageOut:
    """The views that are shared, and your own, by name. `GET /tickets?view=NAME` finds what one asks for."""
    found, cursor = views.find(at.services.database, at.actor, cursor=query.cursor, limit=query.limit)
    return ViewPageOut(items=[ViewOut.model_validate(view) for view in found], next=cursor)


@router.get("/views/{name}", response_model=ViewOut, summary="One view", responses=_MISSING)
def get_view(name: Name, at: AtDesk) -> Response:
    """A view that is shared, or your own."""
    return _answer(at.services.database.read(lambda tx: views.get(tx, name, at.actor)))


@router.put("/views/{name}", response_model=ViewOut, summary="Make or replace a view", responses=_SAVED)
def put_view(name: Name, view: ViewIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Keep a query for tickets, and an order, under a name. The same again makes no new version.

    A query that can't be read is refused, with the column. Times such as `-1d` are reckoned whenever the view is used.
    With `If-Match` only a view that is there, and at that version, is replaced.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        saved, is_new = views.save(tx, view.view(name), seen_version=_agreed(tx, name, seen))
        return _answer(saved, 201 if is_new else 200)

    return at.write(work)


@router.delete("/views/{name}", response_model=ViewOut, summary="Remove a view", responses={**_MISSING, **_STALE})
def remove_view(name: Name, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Remove a view, and answer with what it was."""
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(views.remove(tx, name, seen_version=_agreed(tx, name, seen))))
