"""Rules over HTTP: find, make, replace, switch, remove, read their versions."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.alerts import rule_service as rules
from tocsin.alerts.rule_store import RuleRow
from tocsin.alerts.store import Rehearsal
from tocsin.kit.errors import FieldError, Invalid
from tocsin.storage.tx import Tx
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.rule_schemas import (
    RehearsalOut,
    RehearsalPageOut,
    RuleDefinitionIn,
    RuleIn,
    RuleOut,
    RulePageOut,
    RulePatchIn,
    RuleVersionOut,
    RuleVersionPageOut,
)
from tocsin.web.schemas import ProblemOut, QueryIn
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["rules"])
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_TAKEN: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "There is one of that name"}
}


def rule_out(row: RuleRow) -> RuleOut:
    """A rule as the API shows it."""
    return RuleOut(
        name=row.rule.name,
        version=row.rule.version,
        **row.rule.definition(),
        created_at=row.created_at,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
        broken_reason=row.broken_reason,
        broken_at=row.broken_at,
    )


def _answer(row: RuleRow, status: int = 200) -> Response:
    headers = {"etag": f'"{row.rule.version}"'}
    if status == 201:
        headers["location"] = f"/rules/{row.rule.name}"
    return Response(rule_out(row).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(rules.get(tx, name).rule.version, seen)


@router.get("/rules", summary="List rules")
def list_rules(query: Annotated[QueryIn, Query()], with_: With) -> RulePageOut:
    """All rules by name, also those that are switched off. A rule that raised says why in `broken_reason`."""
    found, cursor = rules.find(with_.database, cursor=query.cursor, limit=query.limit)
    return RulePageOut(items=[rule_out(row) for row in found], next=cursor)


@router.post("/rules", status_code=201, response_model=RuleOut, summary="Make a rule", responses=_TAKEN)
def make_rule(rule: RuleIn, at: AtDesk) -> Response:
    """Make a rule. It holds for every record that is accepted from then on.

    What is wrong with it is named field by field, in the condition with the column. With an `Idempotency-Key` a repeat
    gets the first answer.
    """
    return at.write(lambda tx: _answer(rules.create(tx, rule.rule(rule.name)), 201))


@router.get("/rules/{name}", response_model=RuleOut, summary="One rule", responses=_MISSING)
def get_rule(name: Name, with_: With) -> Response:
    """A rule as it is in force."""
    return _answer(with_.database.read(lambda tx: rules.get(tx, name)))


@router.put(
    "/rules/{name}",
    response_model=RuleOut,
    summary="Make or replace a rule",
    responses={201: {"model": RuleOut, "description": "It is new"}, **_MISSING, **_STALE},
)
def put_rule(name: Name, rule: RuleDefinitionIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a rule is: what is left out has its default. The same again makes no new version.

    With `If-Match` only a rule that is there, and at that version, is replaced.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        row, is_new = rules.save(tx, rule.rule(name), seen_version=_agreed(tx, name, seen))
        return _answer(row, 201 if is_new else 200)

    return at.write(work)


@router.patch("/rules/{name}", response_model=RuleOut, summary="Switch a rule", responses={**_MISSING, **_STALE})
def switch_rule(name: Name, change: RulePatchIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Switch a rule on or off (`enabled`), or its dry run. A field that is absent stays."""
    changes = {field: getattr(change, field) for field in sorted(change.model_fields_set)}
    for field, value in changes.items():
        if value is None:
            raise Invalid(f"{field} can't be null", errors=(FieldError(f"/{field}", "expected true or false"),))
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(rules.change(tx, name, changes, seen_version=_agreed(tx, name, seen))))


@router.delete("/rules/{name}", response_model=RuleOut, summary="Remove a rule", responses={**_MISSING, **_STALE})
def remove_rule(name: Name, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Remove a rule, and answer with what it was. Its alerts and tickets stay, and so do its versions."""
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(rules.remove(tx, name, seen_version=_agreed(tx, name, seen))))


@router.get("/rules/{name}/versions", summary="A rule's versions", responses=_MISSING)
def rule_versions(name: Name, query: Annotated[QueryIn, Query()], with_: With) -> RuleVersionPageOut:
    """What a rule said and when, newest first, with who changed it; also of a rule that was removed."""
    found, cursor = rules.versions(with_.database, name, cursor=query.cursor, limit=query.limit)
    return RuleVersionPageOut(items=[RuleVersionOut.model_validate(version) for version in found], next=cursor)


@router.get("/rules/{name}/rehearsals", summary="What a dry run would have opened", responses=_MISSING)
def rehearsals(name: Name, query: Annotated[QueryIn, Query()], with_: With) -> RehearsalPageOut:
    """The alerts that a rule would have opened while it was in a dry run, newest first."""
    found, cursor = rules.rehearsals(with_.database, name, cursor=query.cursor, limit=query.limit)
    return RehearsalPageOut(items=[_rehearsal_out(one) for one in found], next=cursor)


def _rehearsal_out(one: Rehearsal) -> RehearsalOut:
    return RehearsalOut(
        rule_version=one.rule_version,
        fingerprint=one.fingerprint,
        records=one.n,
        first_log_id=one.first_record_id,
        last_log_id=one.last_record_id,
        first_at=one.first_at,
        last_at=one.last_at,
    )
