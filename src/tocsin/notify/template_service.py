"""Use cases of templates: save, remove, find, try; and what a message says by one of them, whatever state it is in."""

import threading
from dataclasses import asdict
from typing import Any, Final

import structlog
from sqlalchemy.exc import IntegrityError

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import TemplateRemoved, TemplateSaved
from tocsin.kit.metrics import Metrics
from tocsin.notify import template_store as store
from tocsin.notify import wording
from tocsin.notify.message import Kind
from tocsin.notify.template_store import TemplateRow
from tocsin.notify.templates import TemplateWrong
from tocsin.notify.wording import Ready, Said, Template
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

MAX_TEMPLATES: Final = 1_000
MAX_READY: Final = 200

log = structlog.get_logger("tocsin.notify")


def get(tx: ReadTx, name: str) -> TemplateRow:
    """One template. Raises NotFound."""
    found = store.get(tx, name)
    if found is None:
        raise NotFound(what="template", id=name)
    return found


def check(template: Template) -> None:
    """Raises Invalid with each part that is wrong, and its line."""
    errors = wording.faults(template)
    if errors:
        raise Invalid("; ".join(f"{one.pointer}: {one.detail}" for one in errors[:5]), errors=tuple(errors))


def save(tx: Tx, template: Template, *, seen_version: int | None = None) -> tuple[TemplateRow, bool]:
    """Make a template or replace the one of that name; whether it is new. The same again makes no new version.

    `seen_version` is the version it was decided on. Raises Invalid, PreconditionFailed, Conflict.
    """
    check(template)
    before = store.hold(tx, template.name)
    if seen_version is not None and (before is None or before.version != seen_version):
        raise PreconditionFailed(version=0 if before is None else before.version, wanted=seen_version)
    changed = _changed(before.template if before else None, template)
    if before is not None and not changed:
        return before, False
    if before is None and store.count(tx) >= MAX_TEMPLATES:
        raise Conflict(detail=f"there are {MAX_TEMPLATES} templates; remove one that nothing uses")
    version = 1 if before is None else before.version + 1
    try:
        store.put(tx, template, version, is_new=before is None)
    except IntegrityError:
        raise Conflict(detail=f"the template {template.name} was made at the same moment; read it again") from None
    tx.emit(TemplateSaved(template.name, version, changed=changed))
    return get(tx, template.name), before is None


def _changed(before: Template | None, after: Template) -> tuple[str, ...]:
    old = asdict(Template(after.name) if before is None else before)
    return tuple(name for name, value in asdict(after).items() if old[name] != value)


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> TemplateRow:
    """Remove a template. Raises NotFound, PreconditionFailed."""
    found = store.hold(tx, name)
    if found is None:
        raise NotFound(what="template", id=name)
    if seen_version is not None and found.version != seen_version:
        raise PreconditionFailed(version=found.version, wanted=seen_version)
    store.remove(tx, name)
    tx.emit(TemplateRemoved(name, found.version))
    return found


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[TemplateRow], str | None]:
    """A page of templates by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, "templates", str)[0])
    found = database.read(lambda tx: store.page(tx, after=after, limit=limit + 1))
    items = found[:limit]
    more = len(found) > limit
    return items, encode_cursor("templates", items[-1].template.name) if more else None


class TemplateBook:
    """The templates as they are needed when messages are sent: compiled once for each version."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._ready: dict[tuple[str, int], Ready | TemplateWrong] = {}
        self._guard = threading.Lock()

    def say(self, row: TemplateRow | None, name: str | None, kind: Kind, values: dict[str, Any]) -> Said:
        """What a message says by the template `name`, of which `row` is what there is; the default one without a name.

        One that is gone, broken or that fails on these values loses no message: the default one says it, with a note.
        """
        if name is None:
            return wording.say(None, kind, values)
        made = TemplateWrong("there is no such template any more") if row is None else self._made(row)
        if isinstance(made, TemplateWrong):
            said = wording.not_by(name, str(made), kind, values)
        else:
            said = wording.say(made, kind, values)
        if said.problem is not None:
            self._metrics.template_fallbacks.inc()
            log.warning("template_failed", template=name, kind=kind.value, problem=said.problem)
        return said

    def _made(self, row: TemplateRow) -> Ready | TemplateWrong:
        key = (row.template.name, row.version)
        with self._guard:
            if key in self._ready:
                return self._ready[key]
        try:
            made: Ready | TemplateWrong = wording.ready(row.template)
        except TemplateWrong as wrong:  # a later version of this program may know it no longer
            made = wrong
        with self._guard:
            if len(self._ready) >= MAX_READY:
                self._ready.clear()
            self._ready[key] = made
        return made
