"""Every query of reports: whole columns at once. Closed tickets come from their blocks, the others from one index, as
JSON arrays that the database makes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import BigInteger, ColumnElement, Text, and_, case, cast, func, literal, not_, or_, select, type_coerce
from sqlalchemy.sql.functions import coalesce

from tocsin.kit.clock import to_us
from tocsin.query.tree import Node
from tocsin.storage.tx import ReadTx
from tocsin.tickets import block_store
from tocsin.tickets.blocks import gaps, ids_of, unpack_numbers, unpack_words, worthwhile
from tocsin.tickets.coded import Coded
from tocsin.tickets.links import Link
from tocsin.tickets.model import ticket_links, tickets
from tocsin.tickets.reporting import BY_TIME, COUNTS, MISSING, RULE, UNKNOWN
from tocsin.tickets.sla import State
from tocsin.tickets.store import condition_on
from tocsin.tickets.workflow import UNRESOLVED, Status

SLICE: Final = timedelta(days=92)  # no text of the database's gets too long
_decoder: Final = msgspec.json.Decoder(list[str | None])
_NONE: Final = np.empty(0, dtype=np.int64)
PRIORITY: Final = "priority"
OPENED_BY: Final = "opened_by"
STATUS: Final = "status"
CALENDAR: Final = "calendar"
_KEYS: Final = {name: name for name in (PRIORITY, "service", "team", "assignee", OPENED_BY, "source", STATUS)} | {
    RULE: OPENED_BY
}
WORDS: Final = ("service", "team", "assignee", OPENED_BY, "source", STATUS, CALENDAR)
# Columns of a block; its status is always the same.
NUMBERS_KEPT: Final = ("opened_at", "acknowledge_us", "spent_us", "packed", "shift_us", PRIORITY)
WORDS_KEPT: Final = ("service", "team", "assignee", OPENED_BY, "source", CALENDAR)
Columns = dict[str, Any]
"""Numbers as arrays, words as `Coded`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tickets: those opened from `since` on, before `until`, that meet a condition; of one source, or all."""

    since: datetime
    until: datetime
    condition: Node | None = None
    source: str | None = None

    @property
    def opened_by(self) -> str | None:
        return None if self.source is None else f"import:{self.source}"


def _us(column: Any) -> ColumnElement[int]:
    return type_coerce(column, BigInteger)


def _met(now: datetime) -> ColumnElement[int]:
    """1 or 0 once it is known; what is overdue has not kept it, whether or not it is over."""
    t = tickets.c
    return coalesce(
        t.met_at_source,
        case(
            (t.sla_state == State.MET.value, 1),
            (t.sla_state == State.MET_LATE.value, 0),
            (t.sla_due_at <= now, 0),
            else_=UNKNOWN,
        ),
    )


def _kept(done_at: Any, due_at: Any, now: datetime) -> ColumnElement[int]:
    """How one clock ended: what is done at the moment it is due is in time, what is not done then is late."""
    return case(
        (due_at.is_(None), UNKNOWN),
        (done_at.is_not(None), case((done_at <= due_at, 1), else_=0)),
        (due_at <= now, 0),
        else_=UNKNOWN,
    )


def _packed(now: datetime) -> ColumnElement[int]:
    """The small ones in one number, as each column costs as much as finding the rows: from the left reopens,
    reassignments, the SLA and its two clocks, whether it is a recurrence, whether it is not resolved."""
    t = tickets.c
    parts: tuple[tuple[ColumnElement[Any], int], ...] = (
        (t.reassignment_count, COUNTS),
        (_met(now), 4),
        (_kept(t.acknowledged_at, t.acknowledge_due_at, now), 4),
        (_kept(t.resolved_at, t.resolve_due_at, now), 4),
        (case((t.recurrence_of.is_not(None), 1), else_=0), 2),
        (case((_unresolved(), 1), else_=0), 2),
    )
    packed: ColumnElement[Any] = cast(t.reopen_count, BigInteger)
    for value, size in parts:
        packed = packed * size + value
    return packed


def _unresolved() -> ColumnElement[bool]:
    return tickets.c.status.in_(sorted(UNRESOLVED))


def expressions(now: datetime) -> dict[str, ColumnElement[Any]]:
    """Every column that reports may ask for."""
    t = tickets.c
    opened = _us(t.opened_at)
    until_now = case((_unresolved(), literal(to_us(now), BigInteger) - opened), else_=MISSING)
    return {
        "opened_at": opened,
        "acknowledge_us": coalesce(_us(t.acknowledged_at) - _us(t.acknowledge_from), MISSING),
        "spent_us": coalesce(_us(t.resolved_at) - opened, until_now),
        "packed": _packed(now),
        "shift_us": _us(t.acknowledge_from) - opened,
        CALENDAR: t.sla_calendar,
        **{name: t[name] for name in set(_KEYS.values())},
    }


def columns(tx: ReadTx, asked: Asked, by: str | None, *, calendars: bool, working: bool) -> Columns:
    """The columns that `reporting.frame` takes; `key` is what `by` names. For working times, `working`; for those by
    the calendar of each ticket, `calendars`."""
    names = ["acknowledge_us", "spent_us", "packed"]
    if by in BY_TIME or working:
        names.append("opened_at")
    if working:
        names.append("shift_us")
    if calendars:
        names.append(CALENDAR)
    found = _columns(tx, asked, [*names, *([_KEYS[by]] if by in _KEYS else [])])
    if by in _KEYS:
        found["key"] = found.pop(_KEYS[by])
    return found


def _columns(tx: ReadTx, asked: Asked, names: Sequence[str]) -> Columns:
    there = block_store.all_of(tx) if asked.condition is None else []
    useful = sum(one.opened_until >= asked.since and one.opened_from < asked.until for one in there)
    missing = gaps([one.block for one in there], block_store.last_id(tx)) if useful else []
    if not worthwhile(missing, useful):
        return _joined(names, [_gathered(tx, names, _slices(asked), _wanted(tx, asked))])
    read = [_from_blocks(tx, asked, names), _gathered(tx, names, [_period(asked)], _open_in_blocks(tx, asked, missing))]
    # A sum is not looked for in an index: it is the ids that are few.
    opened = _us(tickets.c.opened_at) + 0
    inside = and_(opened >= to_us(asked.since), opened < to_us(asked.until))
    for first, after in missing:
        ids = and_(tickets.c.id >= first, tickets.c.id < after)
        read.append(_gathered(tx, names, [and_(ids, inside)], _wanted(tx, asked)))
    return _joined(names, read)


def _open_in_blocks(tx: ReadTx, asked: Asked, missing: Sequence[tuple[int, int]]) -> list[ColumnElement[bool]]:
    """What is not closed, where there are blocks."""
    elsewhere = [and_(tickets.c.id >= first, tickets.c.id < after) for first, after in missing]
    not_closed = tickets.c.status.in_([status.value for status in Status if status is not Status.CLOSED])
    return [not_closed, *([not_(or_(*elsewhere))] if elsewhere else []), *_wanted(tx, asked)]


def _from_blocks(tx: ReadTx, asked: Asked, names: Sequence[str]) -> Columns:
    stored = {*names, "opened_at"} - {STATUS}
    if asked.opened_by is not None:
        stored.add(OPENED_BY)
    parts = block_store.parts(tx, asked.since, asked.until, stored)
    read = {name: unpacked(name, some) for name, some in parts.items()}
    opened = read["opened_at"]
    if STATUS in names:
        read[STATUS] = Coded.of_one(Status.CLOSED.value, len(opened))
    inside = (opened >= to_us(asked.since)) & (opened < to_us(asked.until))
    if asked.opened_by is not None:
        inside &= read[OPENED_BY].is_(asked.opened_by)
    return read if inside.all() else {name: _where(values, inside) for name, values in read.items()}


def unpacked(name: str, parts: Sequence[bytes]) -> Any:
    """A column of some blocks."""
    return unpack_words(parts) if name in WORDS else unpack_numbers(parts)


def _where(values: Any, mask: Any) -> Any:
    return values.where(mask) if isinstance(values, Coded) else values[mask]


def _joined(names: Collection[str], read: Sequence[Mapping[str, Any]]) -> Columns:
    return {name: _one_after_another(name, [part[name] for part in read]) for name in names}


def _one_after_another(name: str, parts: Sequence[Any]) -> Any:
    return Coded.joined(parts) if name in WORDS else np.concatenate([_NONE, *parts])


def closed_of(tx: ReadTx, block: int) -> Columns:
    """What a block keeps of the tickets of its span that are CLOSED."""
    first, after = ids_of(block)
    closed = coalesce(tickets.c.status, "") == Status.CLOSED.value  # not by the index of that, which names far more
    mine = and_(tickets.c.id >= first, tickets.c.id < after, closed)
    return _gathered(tx, [*NUMBERS_KEPT, *WORDS_KEPT], [mine], [])


def unresolved(tx: ReadTx, asked: Asked, by: str | None) -> Columns:
    """When the tickets that are not resolved were opened, and what they have in common."""
    return _small(tx, asked, by, [_unresolved()])


def linked(tx: ReadTx, asked: Asked, by: str | None) -> Columns:
    """The same of tickets that somebody has linked as a recurrence of an earlier one."""
    link = ticket_links.c
    said = select(link.ticket_id).where(link.kind == Link.RECURRENCE_OF.value)
    return _small(tx, asked, by, [tickets.c.id.in_(said), tickets.c.recurrence_of.is_(None)])


def _small(tx: ReadTx, asked: Asked, by: str | None, more: Sequence[ColumnElement[bool]]) -> Columns:
    names = ["opened_at", *([_KEYS[by]] if by in _KEYS else [])]
    found = _joined(names, [_gathered(tx, names, [_period(asked)], [*more, *_wanted(tx, asked)])])
    if by in _KEYS:
        found["key"] = found.pop(_KEYS[by])
    return found


def _wanted(tx: ReadTx, asked: Asked) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if asked.opened_by is not None:
        wanted.append(tickets.c.opened_by == asked.opened_by)  # as the index has it
    if asked.condition is not None:
        wanted.append(condition_on(tx, asked.condition))
    return wanted


def _period(asked: Asked) -> ColumnElement[bool]:
    return and_(tickets.c.opened_at >= asked.since, tickets.c.opened_at < asked.until)


def _slices(asked: Asked) -> Iterator[ColumnElement[bool]]:
    since = asked.since
    while since < asked.until:
        end = min(since + SLICE, asked.until)
        yield and_(tickets.c.opened_at >= since, tickets.c.opened_at < end)
        since = end


def _gathered(
    tx: ReadTx,
    names: Sequence[str],
    parts: Iterator[ColumnElement[bool]] | Sequence[ColumnElement[bool]],
    wanted: Sequence[ColumnElement[bool]],
) -> Columns:
    """One row of arrays for each part: a row for each ticket would cost far more than finding them."""
    all_of_them = expressions(tx.now)
    array = func.json_agg if tx.dialect == "postgresql" else func.json_group_array
    arrays = [cast(array(all_of_them[name]), Text).label(name) for name in names]
    found: dict[str, list[Any]] = {name: [] for name in names}
    for part in parts:
        row = tx.execute(select(*arrays).where(part, *wanted)).one()
        for name in names:
            found[name].append(_read(name, row._mapping[name] or "[]"))
    return {name: _one_after_another(name, some) for name, some in found.items()}


def _read(name: str, text: str) -> Any:
    if name in WORDS:
        return Coded.of(_decoder.decode(text))
    inside = text[1:-1]  # none of the numbers is null
    return np.fromstring(inside, dtype=np.int64, sep=",") if inside.strip() else _NONE


def span(tx: ReadTx, asked: Asked) -> tuple[datetime, datetime] | None:
    """When the first and the last of these tickets were opened."""
    inside = (_period(asked), *_wanted(tx, asked))
    row = tx.execute(select(func.min(tickets.c.opened_at), func.max(tickets.c.opened_at)).where(*inside)).one()
    return None if row[0] is None else (row[0], row[1])
