"""Every query about the templates that people wrote."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, null, select, update

from tocsin.notify.template_model import templates
from tocsin.notify.wording import Template
from tocsin.storage.tx import ReadTx, Tx


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template with its version and who changed it last."""

    template: Template
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


def get(tx: ReadTx, name: str) -> TemplateRow | None:
    found = tx.execute(select(templates).where(templates.c.name == name)).one_or_none()
    return None if found is None else _row(found)


def hold(tx: Tx, name: str) -> TemplateRow | None:
    """A template that nobody else changes until this transaction ends."""
    found = tx.execute(select(templates).where(templates.c.name == name).with_for_update()).one_or_none()
    return None if found is None else _row(found)


def page(tx: ReadTx, *, after: str, limit: int) -> list[TemplateRow]:
    statement = select(templates).where(templates.c.name > after).order_by(templates.c.name).limit(limit)
    return [_row(found) for found in tx.execute(statement)]


def count(tx: ReadTx) -> int:
    return int(tx.execute(select(func.count()).select_from(templates)).scalar_one())


def put(tx: Tx, template: Template, version: int, *, is_new: bool) -> None:
    row: dict[str, Any] = {
        "title": template.title,
        "text": template.text,
        "html": template.html,
        "payload": null() if template.payload is None else template.payload,
        "description": template.description,
        "version": version,
        "updated_at": tx.now,
        "updated_by": str(tx.actor),
    }
    if is_new:
        tx.execute(insert(templates).values(name=template.name, created_at=tx.now, **row))
    else:
        tx.execute(update(templates).where(templates.c.name == template.name).values(**row))


def remove(tx: Tx, name: str) -> None:
    tx.execute(delete(templates).where(templates.c.name == name))


def _row(found: Any) -> TemplateRow:
    values = dict(found._mapping)
    kept = {name: values.pop(name) for name in ("version", "created_at", "updated_at", "updated_by")}
    return TemplateRow(Template(**values), **kept)
