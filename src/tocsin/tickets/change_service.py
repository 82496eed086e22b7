"""Use cases of changes: record what was deployed or switched, find it, forget it. They alter no ticket's history."""

from collections.abc import Mapping
from typing import Any, Final

from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import NotFound
from tocsin.kit.events import ChangeRecorded
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import change_store as store
from tocsin.tickets.change_store import Change, ChangeQuery
from tocsin.tickets.changes import KEPT, check_change

_CURSOR: Final = "changes"


def record(tx: Tx, service: str, facts: Mapping[str, Any]) -> Change:
    """Record what was changed in a service. `facts` hold `summary`, and may hold `at`, `ref`, `url`, `author` and
    `attributes`; without `at` it was now. Raises Invalid."""
    at, attributes = facts.get("at") or tx.now, facts.get("attributes") or {}
    check_change(at, facts.get("url"), attributes, tx.now)
    change_id = store.create(tx, service, {**facts, "at": at, "attributes": attributes})
    change = get(tx, change_id)
    tx.emit(ChangeRecorded(change_id, service, at, change.summary, change.ref))
    return change


def get(tx: ReadTx, change_id: int) -> Change:
    """One change. Raises NotFound."""
    found = store.get(tx, change_id)
    if found is None:
        raise NotFound(what="change", id=change_id)
    return found


def find(database: Database, query: ChangeQuery, *, cursor: str | None, limit: int) -> tuple[list[Change], str | None]:
    """A page of changes, the newest first, and the cursor of the next."""
    before = None
    if cursor is not None:
        at, change_id = decode_cursor(cursor, _CURSOR, int, int)
        before = (from_us(int(at)), int(change_id))
    found = database.read(lambda tx: store.page(tx, query, before=before, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_CURSOR, to_us(items[-1].at), items[-1].id) if len(found) > limit else None


def forget_old(database: Database) -> None:
    """Delete what is older than changes are kept, a little at a time."""
    while database.write(lambda tx: store.forget(tx, tx.now - KEPT), actor=SYSTEM):
        pass
