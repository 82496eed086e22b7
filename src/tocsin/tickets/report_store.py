"""Every query of reports: whole columns at once, from one index, as JSON arrays that the database makes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, select, type_coerce
from sqlalchemy.sql.functions import coalesce

from tocsin.query.tree import Node
from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import tickets
from tocsin.tickets.reporting import COUNTS, MISSING
from tocsin.tickets.sla import State
from tocsin.tickets.store import condition_on
from tocsin.tickets.workflow import UNRESOLVED

SLICE: Final = timedelta(days=92)  # no text of the database's gets too long
_decoder: Final = msgspec.json.Decoder(list[str | None])
_NONE: Final = np.empty(0, dtype=np.int64)
PRIORITY: Final = "priority"
_WORDS: Final = ("service", "team", "assignee", "opened_by", "source", "status")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tickets: those opened from `since` on, before `until`, that meet a condition; of one source, or all."""

    since: datetime
    until: datetime
    condition: Node | None = None
    source: str | None = None


def _us(column: Any) -> ColumnElement[int]:
    return type_coerce(column, BigInteger)


def _key(by: str | None) -> ColumnElement[Any] | None:
    return tickets.c[by] if by in {PRIORITY, *_WORDS} else None


def _met(now: datetime) -> ColumnElement[int | None]:
    """1 or 0 once it is known; what is overdue has not kept it, whether or not it is over."""
    t = tickets.c
    return coalesce(
        t.met_at_source,
        case(
            (t.sla_state == State.MET.value, 1),
            (t.sla_state == State.MET_LATE.value, 0),
            (t.sla_due_at <= now, 0),
            else_=None,
        ),
    )


def _wanted(tx: ReadTx, asked: Asked) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if asked.source is not None:
        wanted.append(tickets.c.opened_by == f"import:{asked.source}")  # as the index has it
    if asked.condition is not None:
        wanted.append(condition_on(tx, asked.condition))
    return wanted


def columns(tx: ReadTx, asked: Asked, by: str | None) -> dict[str, Any]:
    """The columns that `reporting.frame` takes; `key` is what `by` names.

    The small ones are packed into one number: each column costs as much as finding the rows.
    """
    t = tickets.c
    read: dict[str, ColumnElement[Any]] = {
        "acknowledge_us": coalesce(_us(t.acknowledged_at) - _us(t.acknowledge_from), MISSING),
        "resolve_us": coalesce(_us(t.resolved_at) - _us(t.opened_at), MISSING),
        "packed": (
            ((cast(t.reopen_count, BigInteger) * COUNTS + t.reassignment_count) * 4 + coalesce(_met(tx.now), 2)) * 2
            + case((t.status.in_(sorted(UNRESOLVED)), 1), else_=0)
        ),
    }
    return _gathered(tx, read, asked, by, list(_slices(asked.since, asked.until)))


def unresolved(tx: ReadTx, asked: Asked, by: str | None) -> dict[str, Any]:
    """When the tickets that are not resolved were opened, and what they have in common."""
    read: dict[str, ColumnElement[Any]] = {"opened_at": _us(tickets.c.opened_at)}
    open_ = tickets.c.status.in_(sorted(UNRESOLVED))
    return _gathered(tx, read, asked, by, [(asked.since, asked.until)], open_)


def _gathered(
    tx: ReadTx,
    read: dict[str, ColumnElement[Any]],
    asked: Asked,
    by: str | None,
    spans: list[tuple[datetime, datetime]],
    *more: ColumnElement[bool],
) -> dict[str, Any]:
    """One row of arrays for each span: a row for each ticket would cost far more than finding them."""
    key = _key(by)
    if key is not None:
        read = {**read, "key": key}
    elif by is not None:
        read = {**read, "opened_at": _us(tickets.c.opened_at)}
    array = func.json_agg if tx.dialect == "postgresql" else func.json_group_array
    arrays = [cast(array(column), Text).label(name) for name, column in read.items()]
    found: dict[str, list[Any]] = {name: [] for name in read}
    wanted = [*more, *_wanted(tx, asked)]
    for since, until in spans:
        inside = (tickets.c.opened_at >= since, tickets.c.opened_at < until, *wanted)
        row = tx.execute(select(*arrays).where(*inside)).one()
        for name in read:
            text = row._mapping[name] or "[]"
            found[name].append(_decoder.decode(text) if name == "key" and by in _WORDS else _numbers(text))
    return {
        name: list(chain.from_iterable(parts)) if name == "key" and by in _WORDS else np.concatenate([_NONE, *parts])
        for name, parts in found.items()
    }


def _numbers(text: str) -> Any:
    """The numbers of a JSON array; none of them is null."""
    inside = text[1:-1]
    return np.fromstring(inside, dtype=np.int64, sep=",") if inside.strip() else _NONE


def _slices(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        end = min(since + SLICE, until)
        yield since, end
        since = end


def span(tx: ReadTx, asked: Asked) -> tuple[datetime, datetime] | None:
    """When the first and the last of these tickets were opened."""
    inside = (tickets.c.opened_at >= asked.since, tickets.c.opened_at < asked.until, *_wanted(tx, asked))
    row = tx.execute(select(func.min(tickets.c.opened_at), func.max(tickets.c.opened_at)).where(*inside)).one()
    return None if row[0] is None else (row[0], row[1])
