"""The priority matrix: as it is in force, in versions, and what follows from it."""

from collections.abc import Mapping
from typing import Any, Final

from tocsin.kit.errors import PreconditionFailed
from tocsin.kit.events import PriorityMatrixSaved
from tocsin.kit.priorities import Priority
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import sla_store
from tocsin.tickets.matrix import DEFAULT, definition_of, derived, matrix_of

KIND: Final = "matrix"
NAME: Final = "priority"
_PLACES: Final = "priorities"


def get(tx: ReadTx) -> tuple[int, dict[str, str]]:
    """The version of the matrix and what it says; 0 is the one there is before anybody has made another."""
    item = sla_store.get(tx, KIND, NAME)
    return (0, definition_of(DEFAULT)) if item is None else (item.version, item.definition[_PLACES])


def save(tx: Tx, definition: Mapping[str, Any], *, seen_version: int | None = None) -> tuple[int, dict[str, str]]:
    """Replace the matrix; the same again makes no version. Raises Invalid, PreconditionFailed."""
    wanted = definition_of(matrix_of(definition))
    sla_store.lock(tx)
    version, before = get(tx)
    if seen_version is not None and version != seen_version:
        raise PreconditionFailed(version=version, wanted=seen_version)
    if before == wanted:
        return version, before
    sla_store.put(tx, KIND, NAME, version + 1, {_PLACES: wanted}, is_new=version == 0)
    changed = [place for place in wanted if wanted[place] != before[place]]
    tx.emit(
        PriorityMatrixSaved(
            version + 1,
            before={place: before[place] for place in changed},
            after={place: wanted[place] for place in changed},
        )
    )
    return version + 1, wanted


def priority_by(tx: ReadTx, impact: int | None, urgency: int | None) -> Priority | None:
    """The priority of a ticket; None as long as one of the two is not known."""
    if impact is None or urgency is None:
        return None
    return derived(matrix_of(get(tx)[1]), impact, urgency)
