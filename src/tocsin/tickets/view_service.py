"""Use cases of views: find, save, remove. One that isn't shared is there for its owner only."""

from tocsin.kit.actors import Actor
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, Forbidden, NotFound, PreconditionFailed
from tocsin.kit.events import ViewRemoved, ViewSaved
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import view_store as store
from tocsin.tickets.view_store import ViewRow
from tocsin.tickets.views import View, condition_of, definition_of

_CURSOR = "views"


def get(tx: ReadTx, name: str, actor: Actor) -> ViewRow:
    """A view that somebody may use. Raises NotFound."""
    found = store.get(tx, name)
    if found is None or not found.may_be_seen_by(str(actor)):
        raise NotFound(what="view", id=name)
    return found


def find(database: Database, actor: Actor, *, cursor: str | None, limit: int) -> tuple[list[ViewRow], str | None]:
    """A page of the views that somebody may use, by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _CURSOR, str)[0])
    found = database.read(lambda tx: store.page(tx, str(actor), after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_CURSOR, items[-1].name) if len(found) > limit else None


def save(tx: Tx, view: View, *, seen_version: int | None = None) -> tuple[ViewRow, bool]:
    """Make or replace a view, and whether it is new; the same again makes no version.

    Raises Invalid for a query that can't be read, Conflict for a name that is taken, Forbidden, PreconditionFailed.
    """
    condition_of(view.q, tx.now)
    store.lock(tx)
    before = store.get(tx, view.name)
    if before is not None and not before.may_be_seen_by(str(tx.actor)):
        raise Conflict(detail=f"somebody else has a view of their own that is called {view.name}; take another name")
    _agree(before, seen_version)
    if before is None:
        version = store.latest_version(tx, view.name) + 1
        store.create(tx, view, version)
        tx.emit(ViewSaved(view.name, version, changed=()))
        return get(tx, view.name, tx.actor), True
    old = definition_of(View(before.name, before.q, before.sort, before.descending, before.shared))
    changed = tuple(name for name, value in definition_of(view).items() if value != old[name])
    if not changed:
        return before, False
    if "shared" in changed and before.owner != str(tx.actor):
        raise Forbidden(detail=f"The view {view.name} is {before.owner}'s: only they may stop sharing it.")
    store.replace(tx, view, before.version + 1)
    tx.emit(ViewSaved(view.name, before.version + 1, changed=changed))
    return get(tx, view.name, tx.actor), False


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> ViewRow:
    """Remove a view, and return what it was. Raises NotFound, PreconditionFailed."""
    store.lock(tx)
    before = get(tx, name, tx.actor)
    _agree(before, seen_version)
    store.remove(tx, name)
    tx.emit(ViewRemoved(name, before.version))
    return before


def _agree(before: ViewRow | None, seen_version: int | None) -> None:
    version = 0 if before is None else before.version
    if seen_version is not None and version != seen_version:
        raise PreconditionFailed(version=version, wanted=seen_version)
