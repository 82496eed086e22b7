"""Declared services over HTTP: find, make, replace, change, remove; what depends on what."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, Field

from tocsin.alerts import declaration_service as declared
from tocsin.alerts import declaration_store as store
from tocsin.alerts.declaration_service import ServiceQuery
from tocsin.alerts.declaration_store import DeclaredRow
from tocsin.kit.errors import FieldError, Invalid
from tocsin.query.letters import fold
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.store import open_of_service
from tocsin.web.declaration_schemas import (
    DeclarationIn,
    DeclarationPatchIn,
    DeclaredServiceDetailOut,
    DeclaredServiceOut,
    DeclaredServicePageOut,
    DependenciesOut,
    RelativeOut,
)
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, QueryIn, Word, no_nul
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["services"])
ServiceName = Annotated[str, Path(min_length=1, max_length=256), AfterValidator(no_nul)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_FULL: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemOut, "description": "There are too many"}}


class ServiceQueryIn(QueryIn):
    team: Word | None = Field(None, description="The exact name of a team.", examples=["payments"])
    tier: int | None = Field(None, ge=1, le=5)
    depends_on: Word | None = Field(None, description="Depend directly on this service.", examples=["postgres"])


def _fields(row: DeclaredRow) -> dict[str, Any]:
    kept = {name: getattr(row, name) for name in ("version", "created_at", "updated_at", "updated_by")}
    return {**row.declaration.facts(), **kept}


def _answer(row: DeclaredRow, status: int = 200) -> Response:
    headers = {"etag": f'"{row.version}"'}
    return Response(DeclaredServiceOut(**_fields(row)).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(declared.get(tx, name).version, seen)


@router.get("/services", summary="Find declared services")
def find_services(query: Annotated[ServiceQueryIn, Query()], with_: With) -> DeclaredServicePageOut:
    """Services that match all filters, by name."""
    wanted = ServiceQuery(query.team, query.tier, query.depends_on, query.limit, query.cursor)
    found, cursor = declared.find(with_.database, wanted)
    return DeclaredServicePageOut(items=[DeclaredServiceOut(**_fields(row)) for row in found], next=cursor)


# Before the others: a name may hold slashes, and then a path has them too.
@router.get("/services/{name:path}/dependencies", summary="What depends on what", responses=_MISSING)
def dependencies(name: ServiceName, with_: With) -> DependenciesOut:
    """All that a service depends on and all that depends on it, directly or by others, with the shortest way."""

    def look(tx: ReadTx) -> DependenciesOut:
        above, below = declared.relatives(tx, name)
        return DependenciesOut(
            name=declared.get(tx, name).declaration.name,
            depends_on=[RelativeOut.model_validate(one) for one in above],
            dependants=[RelativeOut.model_validate(one) for one in below],
        )

    return with_.database.read(look)


@router.get(
    "/services/{name:path}",
    response_model=DeclaredServiceDetailOut,
    summary="One declared service",
    responses=_MISSING,
)
def get_service(name: ServiceName, with_: With) -> Response:
    """A service with what depends directly on it, and how many of its tickets are open or in progress."""

    def look(tx: ReadTx) -> tuple[DeclaredRow, list[str], int]:
        row = declared.get(tx, name)
        return row, store.dependants(tx, fold(name)), open_of_service(tx, name)

    row, dependants, open_tickets = with_.database.read(look)
    out = DeclaredServiceDetailOut(**_fields(row), dependants=dependants, open_tickets=open_tickets)
    return Response(out.model_dump_json(), 200, {"etag": f'"{row.version}"'}, "application/json")


@router.put(
    "/services/{name:path}",
    response_model=DeclaredServiceOut,
    summary="Declare or replace a service",
    responses={201: {"model": DeclaredServiceOut, "description": "It is new"}, **_MISSING, **_STALE, **_FULL},
)
def put_service(name: ServiceName, declaration: DeclarationIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all there is to say of a service: what is left out has its default. The same again makes no new version.

    Its name is the one that its records carry; upper and lower case are the same. A ring of dependencies is refused and
    named. With `If-Match` only a service that is there, and at that version, is replaced.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        meant = declaration.declaration(name)
        row, is_new = declared.save(tx, meant, seen_version=_agreed(tx, name, seen))
        return _answer(row, 201 if is_new else 200)

    return at.write(work)


@router.patch(
    "/services/{name:path}",
    response_model=DeclaredServiceOut,
    summary="Change a declared service",
    responses={**_MISSING, **_STALE},
)
def change_service(name: ServiceName, change: DeclarationPatchIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Change some of what is declared. A field that is absent stays; `team`, `tier` and `runbook_url` can be null."""
    changes = {field: getattr(change, field) for field in sorted(change.model_fields_set)}
    for field, expected in (("depends_on", "a list of names"), ("description", "a string")):
        if field in changes and changes[field] is None:
            raise Invalid(f"{field} can't be null", errors=(FieldError(f"/{field}", f"expected {expected}"),))
    if "depends_on" in changes:
        changes["depends_on"] = tuple(changes["depends_on"])
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(declared.change(tx, name, changes, seen_version=_agreed(tx, name, seen))))


@router.delete(
    "/services/{name:path}",
    response_model=DeclaredServiceOut,
    summary="Remove a declared service",
    responses={**_MISSING, **_STALE},
)
def remove_service(name: ServiceName, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Forget what is declared of a service, and answer with it. What depends on it still says so."""
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(declared.remove(tx, name, seen_version=_agreed(tx, name, seen))))
