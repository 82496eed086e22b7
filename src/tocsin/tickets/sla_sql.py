"""The state of a ticket's clocks as a SQL condition: what was written down, and what time has made of it since."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, case, not_, or_

from tocsin.query.patterns import text_test
from tocsin.query.tree import Equals, Exists, Leaf
from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import tickets
from tocsin.tickets.rarity_sql import are_few, beside_indexes, rare
from tocsin.tickets.sla import RUNNING, State

Column = Callable[[str], ColumnElement[Any]]


def sla_condition(tx: ReadTx, leaf: Leaf) -> ColumnElement[bool]:
    """Whether the field `sla` meets a condition; true or false, never null."""
    there = tickets.c.sla_state.is_not(None)
    if isinstance(leaf, Exists):
        return there
    if isinstance(leaf, Equals):
        state = State(leaf.text)
        return _sought(tx, state) if tx.dialect == "sqlite" and state in RUNNING else _is(tx, state)
    name = case(*((_is(tx, state), state.value) for state in State), else_="")
    return and_(there, name.regexp_match(text_test(leaf).pattern))


def _is(tx: ReadTx, state: State, of: Column = lambda name: tickets.c[name]) -> ColumnElement[bool]:
    written, due_at, at_risk_at = of("sla_state"), of("sla_due_at"), of("sla_at_risk_at")
    if state not in RUNNING:
        return and_(written.is_not(None), written == state.value)
    overdue = and_(due_at.is_not(None), due_at <= tx.now)
    at_risk = and_(at_risk_at.is_not(None), at_risk_at <= tx.now)
    no_end = or_(tickets.c.held_until.is_(None), tickets.c.held_until > tx.now)
    held = and_(tickets.c.held_since.is_not(None), no_end)
    runs = and_(written.is_not(None), written.in_([one.value for one in RUNNING]))
    # As long as it is on hold, that is what was written.
    paused = and_(written.is_not(None), written == State.PAUSED.value)
    return {
        State.BREACHED: overdue,
        State.PAUSED: and_(paused, held, not_(overdue)),
        State.AT_RISK: and_(at_risk, not_(held), not_(overdue)),
        State.ON_TRACK: and_(runs, not_(held), not_(overdue), not_(at_risk)),
    }[state]


def _sought(tx: ReadTx, state: State) -> ColumnElement[bool]:
    """For SQLite: looked for where few are; else among the clocks that run, which have indexes of their own by opening
    and priority."""
    columns, exact = tickets.c, _is(tx, state)
    to_come = columns.sla_due_at > tx.now  # what isn't held is due some time
    ways = {
        State.BREACHED: (columns.sla_due_at <= tx.now,),
        State.AT_RISK: (columns.sla_at_risk_at <= tx.now, to_come),
        State.ON_TRACK: (to_come,),
        State.PAUSED: (columns.sla_state == State.PAUSED.value,),
    }[state]
    few = next((way for way in ways if are_few(tx, way)), None)
    if few is not None:
        return and_(rare(few), exact)
    if state is State.PAUSED:
        return exact  # it may have no end, and then it is not due
    return and_(columns.sla_due_at.is_not(None), _is(tx, state, lambda name: beside_indexes(tickets.c[name])))
