"""Every query about views."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, insert, or_, select, update

from tocsin.storage.model import counters, events
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.model import views
from tocsin.tickets.views import View, definition_of

_VIEWS: Final = "views"


@dataclass(frozen=True, slots=True)
class ViewRow:
    """A view as it is kept, with who made it and who changed it last."""

    name: str
    owner: str
    shared: bool
    q: str
    sort: str
    descending: bool
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str

    @property
    def order(self) -> str:
        return "desc" if self.descending else "asc"

    def may_be_seen_by(self, who: str) -> bool:
        return self.shared or self.owner == who


def lock(tx: Tx) -> None:
    """Whoever else changes views waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == _VIEWS).values(value=counters.c.value + 1))


def get(tx: ReadTx, name: str) -> ViewRow | None:
    found = tx.execute(select(views).where(views.c.name == name)).one_or_none()
    return None if found is None else ViewRow(**found._mapping)


def page(tx: ReadTx, who: str, *, after: str, limit: int) -> list[ViewRow]:
    """The views that somebody may see, by name."""
    theirs: Select[Any] = select(views).where(or_(views.c.shared, views.c.owner == who), views.c.name > after)
    return [ViewRow(**row._mapping) for row in tx.execute(theirs.order_by(views.c.name).limit(limit))]


def latest_version(tx: ReadTx, name: str) -> int:
    """The highest version one of this name is known to have had, also if it was removed."""
    statement = select(events.c.data).where(events.c.subject == f"view:{name}").order_by(events.c.id.desc()).limit(1)
    found = tx.execute(statement).scalar_one_or_none()
    return 0 if found is None else int(found["version"])


def create(tx: Tx, view: View, version: int) -> None:
    row = {**definition_of(view), "name": view.name, "version": version, "owner": str(tx.actor)}
    tx.execute(insert(views).values(**row, created_at=tx.now, updated_at=tx.now, updated_by=str(tx.actor)))


def replace(tx: Tx, view: View, version: int) -> None:
    changed = {**definition_of(view), "version": version, "updated_at": tx.now, "updated_by": str(tx.actor)}
    tx.execute(update(views).where(views.c.name == view.name).values(**changed))


def remove(tx: Tx, name: str) -> None:
    tx.execute(delete(views).where(views.c.name == name))
