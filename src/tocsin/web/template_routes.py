"""Templates over HTTP: find, save, try, remove."""

import re
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.notify import picture_service, wording
from tocsin.notify import reference_service as removing
from tocsin.notify import template_service as templates
from tocsin.notify.links import LIVES, actions_of
from tocsin.notify.message import Action, Kind
from tocsin.notify.picture import Occasion, Picture, values_of
from tocsin.notify.sample import a_sample
from tocsin.notify.template_store import TemplateRow
from tocsin.notify.templates import TemplateWrong
from tocsin.notify.wording import Said, Template
from tocsin.storage.tx import Tx
from tocsin.web.preconditions import IN_USE, Force, IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, QueryIn
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.template_schemas import FaultOut, PreviewIn, PreviewOut, TemplateIn, TemplateOut, TemplatePageOut

router = APIRouter(tags=["notifications"])
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_FULL: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemOut, "description": "There are too many"}}
_LINE: Final = re.compile(r"(?:^|: )line (\d+): ")
_PARTS: Final = ("title", "text", "html", "payload", "description")


def _out(row: TemplateRow) -> TemplateOut:
    kept = {name: getattr(row, name) for name in ("version", "created_at", "updated_at", "updated_by")}
    return TemplateOut(name=row.template.name, **{part: getattr(row.template, part) for part in _PARTS}, **kept)


def _answer(row: TemplateRow, status: int = 200) -> Response:
    return Response(_out(row).model_dump_json(), status, {"etag": f'"{row.version}"'}, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(templates.get(tx, name).version, seen)


@router.get("/templates", summary="List templates")
def list_templates(query: Annotated[QueryIn, Query()], with_: With) -> TemplatePageOut:
    """All templates by name."""
    found, cursor = templates.find(with_.database, cursor=query.cursor, limit=query.limit)
    return TemplatePageOut(items=[_out(row) for row in found], next=cursor)


@router.post("/templates/preview", summary="Try a template", responses=_MISSING)
def preview(tried: PreviewIn, with_: With) -> PreviewOut:
    """What a message would say of a ticket, or of one that is made up. Nothing is saved or sent. What is wrong with
    the template is told with its line, and what would be sent all the same."""
    saved = None if tried.name is None else with_.database.read(lambda tx: templates.get(tx, str(tried.name)))
    given = {part: getattr(tried, part) for part in tried.model_fields_set & set(_PARTS)}
    template = replace(saved.template if saved else Template("preview"), **given)
    kind = Kind(tried.kind)
    values = _values(with_, tried, kind)
    errors = wording.faults(template)
    if errors:
        problem = f"{errors[0].pointer.strip('/')}: {errors[0].detail}"
        said = wording.not_by(template.name, problem, kind, values)
        return _previewed(said, [FaultOut(part=e.pointer, detail=e.detail, line=_line(e.detail)) for e in errors])
    said = wording.say(_ready(template), kind, values)
    failed = [] if said.problem is None else [_failed(said.problem)]
    return _previewed(said, failed)


def _ready(template: Template) -> wording.Ready | None:
    try:
        return wording.ready(template)
    except TemplateWrong:
        return None


def _failed(problem: str) -> FaultOut:
    part, _, detail = problem.partition(": ")
    return FaultOut(part=f"/{part}", detail=detail, line=_line(problem))


def _line(detail: str) -> int | None:
    found = _LINE.search(detail)
    return None if found is None else int(found[1])


def _previewed(said: Said, problems: list[FaultOut]) -> PreviewOut:
    return PreviewOut(title=said.title, text=said.text, html=said.html, payload=said.payload, problems=problems)


def _values(with_: Services, tried: PreviewIn, kind: Kind) -> dict[str, Any]:
    if tried.ticket_id is None:
        sample = a_sample(kind, now=with_.clock.now())
        return values_of(kind, sample.picture, replace(sample.occasion, person=tried.person), now=sample.picture.now)
    ticket_id = tried.ticket_id
    picture = with_.database.read(lambda tx: picture_service.take(tx, ticket_id))
    picture = picture_service.with_record(picture, with_.logs)
    occasion = Occasion(person=tried.person, by=tried.person, actions=_links(with_, picture))
    return values_of(kind, picture, occasion, now=picture.now)


def _links(with_: Services, picture: Picture) -> tuple[Action, ...]:
    """Links as they will look: these lead nowhere, a preview is no credential."""
    base = with_.answering.public_url
    return actions_of(
        picture.ticket["id"], picture.ticket["status"], person=None, message_id="preview", key=b"preview",
        base_url=base, now=picture.now - LIVES,
    )  # fmt: skip


@router.get("/templates/{name}", response_model=TemplateOut, summary="One template", responses=_MISSING)
def get_template(name: Name, with_: With) -> Response:
    """A template as it is in force."""
    return _answer(with_.database.read(lambda tx: templates.get(tx, name)))


@router.put(
    "/templates/{name}",
    response_model=TemplateOut,
    summary="Make or replace a template",
    responses={201: {"model": TemplateOut, "description": "It is new"}, **_MISSING, **_STALE, **_FULL},
)
def put_template(name: Name, template: TemplateIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a template is. One that can't work is refused, with the line; the same again makes no new
    version. With `If-Match` only one that is there, and at that version, is replaced."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        row, is_new = templates.save(tx, template.template(name), seen_version=_agreed(tx, name, seen))
        return _answer(row, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/templates/{name}",
    response_model=TemplateOut,
    summary="Remove a template",
    responses={**_MISSING, **IN_USE, **_STALE},
)
def remove_template(name: Name, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove a template, and answer with it. One that a channel names is kept, unless by `force`: its messages are
    said by the default one then."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        return _answer(removing.remove_template(tx, name, seen_version=_agreed(tx, name, seen), force=force))

    return at.write(work)
