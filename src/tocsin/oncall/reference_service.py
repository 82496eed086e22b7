"""Use cases of all that name others: what they name must be there when they are saved; who names what."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from tocsin.kit.errors import Invalid
from tocsin.oncall import declaring, escalation, item_store, references, schedule_store
from tocsin.oncall import reference_store as store
from tocsin.oncall.item_service import ESCALATION_POLICY
from tocsin.oncall.reference_store import NAMES, Names
from tocsin.oncall.references import Namer, Reference, Referred
from tocsin.oncall.schedule_store import OVERRIDE, OverrideRow
from tocsin.storage.tx import ReadTx

_COMPARED: Final = 1000  # names that a wrong one is compared with
_EVER: Final = datetime.max.replace(tzinfo=UTC)


def check(tx: ReadTx, named: Iterable[Reference], names: Names = NAMES) -> None:
    """Raises Invalid with each reference that leads to nothing. What is switched off, or away, is there."""
    given = list(named)
    wrong = references.missing(given, store.there(tx, given, names))
    if not wrong:
        return
    known = store.first_names(tx, {one.kind for one in wrong}, names, limit=_COMPARED)
    errors = references.faults(wrong, known)
    raise Invalid("; ".join(f"{one.pointer[1:]}: {one.detail}" for one in errors[:5]), errors=tuple(errors))


def policies(tx: ReadTx) -> list[Namer]:
    """The escalation policies in force, with all whom they call."""
    return [
        Namer(Referred.ESCALATION_POLICY, item.name, _policy_references(item))
        for item in item_store.in_order(tx, ESCALATION_POLICY.name)
    ]


def _policy_references(item: item_store.Item) -> tuple[Reference, ...]:
    return escalation.policy_of(item.name, item.version, item.definition).references()


def schedules(tx: ReadTx) -> list[Namer]:
    """The schedules in force, with all who have turns in their layers, or by an override that is not over."""
    rows = schedule_store.page(tx, after="", limit=None)
    overrides = schedule_store.overrides_between(tx, [row.name for row in rows], tx.now, _EVER)
    return [
        Namer(
            Referred.SCHEDULE,
            row.name,
            (
                *declaring.references_of(declaring.kept_schedule(row.definition)),
                *(one for override in overrides.get(row.name, ()) for one in _override_references(override)),
            ),
        )
        for row in rows
    ]


def _override_references(row: OverrideRow) -> list[Reference]:
    if row.kind == OVERRIDE:
        named = [row.override.add]
    else:
        named = [user for shift in row.temporary.shifts for user in shift.users]
    return [Reference(Referred.USER, user, f"/overrides/{row.id}") for user in named if user is not None]
