"""Files with rules, silences and services over HTTP: apply one, or tell what it would do; export what there is."""

import hashlib
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from tocsin.alerts import apply_service, silence_looking
from tocsin.alerts.applying import SECTIONS, SILENCES, Asked, Step, counts, faults_of
from tocsin.kit.errors import Conflict, FieldError, Invalid
from tocsin.storage.tx import Tx
from tocsin.web.apply_schemas import ApplyIn, ApplyOut, ExportOut, export_out, step_out
from tocsin.web.front import FILE_PATH, MAX_FILE_BODY
from tocsin.web.schemas import ProblemOut, Reckoned
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["files"])
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
MAX_BREAKING: Final = 20
MAX_TOLD: Final = 5
_MEANWHILE: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "What there is changed meanwhile, or there would be too many services"}
}


class ExportQueryIn(Reckoned):
    sections: str = Field(
        ",".join(SECTIONS), max_length=100, description="Which, with commas.", examples=["rules,services"]
    )

    def chosen(self) -> tuple[str, ...]:
        """The sections, in the order of a file. Raises Invalid."""
        named = {part.strip() for part in self.sections.split(",")}
        unknown = sorted(named - set(SECTIONS))
        if unknown:
            detail = f"there is no section {unknown[0]!r}; expected some of {', '.join(SECTIONS)}"
            raise Invalid(f"sections: {detail}", errors=(FieldError("sections", detail),))
        return tuple(section for section in SECTIONS if section in named)


@router.post(
    FILE_PATH,
    response_model=ApplyOut,
    summary="Apply a file",
    responses=_MEANWHILE,
    max_body_size=MAX_FILE_BODY,
)
def apply_file(file: ApplyIn, at: AtDesk) -> Response:
    """Make, change and (with `prune`) remove rules, silences and services so that they are what the file says: all of
    it in one transaction, or nothing.

    What is wrong with any entry is named with its place. With `dry_run` the same is done and taken back: the plan is
    what would have happened. A silence that is over stays so. What is not in the file is kept unless `prune` is set.
    """
    asked, found = file.asked()
    found += faults_of(asked, at.services.clock.now())
    if found:
        raise _refusal(found)
    if file.dry_run:
        return at.write(lambda tx: _answer(apply_service.rehearse(tx, asked), file))
    usual = _usual(at, asked)

    def work(tx: Tx) -> Response:
        return _answer(apply_service.apply(tx, asked, usual=usual), file)

    return at.write(work)


def _refusal(found: list[FieldError]) -> Invalid:
    told = [f"{error.pointer[1:]}: {error.detail}" for error in found[:MAX_TOLD]]
    more = [f"and {len(found) - MAX_TOLD} more"] if len(found) > MAX_TOLD else []
    return Invalid("; ".join([*told, *more]), errors=tuple(found))


def _usual(at: Desk, asked: Asked) -> dict[str, int]:
    """How much the silences that would be made and can break would have hidden; looked up before the transaction."""
    with_ = at.services
    breaking = with_.database.read(lambda tx: apply_service.breaking(tx, asked, actor=str(at.actor)))
    if len(breaking) > MAX_BREAKING:
        place = breaking[MAX_BREAKING][0]
        detail = (
            f"expected at most {MAX_BREAKING} silences that can break to be made at once: logs are counted for each"
        )
        raise _refusal([FieldError(f"/{SILENCES}/{place}/break_factor", detail)])
    return {
        wanted.name: silence_looking.usual(with_.database, with_.logs, wanted.draft.matcher).records
        for _, wanted in breaking
    }


def _answer(steps: list[Step], file: ApplyIn) -> Response:
    plan = [step_out(step) for step in steps]
    fingerprint = hashlib.sha256(b"\n".join(line.model_dump_json().encode() for line in plan)).hexdigest()[:32]
    if file.expected is not None and file.expected != fingerprint:
        raise Conflict(detail="what would be done is no longer the plan that was agreed on; look at it again")
    out = ApplyOut(applied=not file.dry_run, plan=plan, counts=counts(steps), fingerprint=fingerprint)
    return Response(out.model_dump_json(), 200, media_type="application/json")


@router.get("/export", response_model=ExportOut, response_model_exclude_none=True, summary="Export a file")
def export_file(query: Annotated[ExportQueryIn, Query()], with_: With) -> Response:
    """Rules, silences that are not over, and services, as `POST /apply` takes them; applied again, nothing changes.
    Fields that have their default are left out."""
    sections = query.chosen()
    found = with_.database.read(lambda tx: apply_service.present(tx, sections))
    return JSONResponse(export_out(found, sections))
