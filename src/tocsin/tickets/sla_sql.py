"""The state of a ticket's clocks as a SQL condition: what was written down, and what time has made of it since."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Integer, and_, case, func, literal_column, not_, or_

from tocsin.query.patterns import text_test
from tocsin.query.tree import Equals, Exists, Leaf
from tocsin.tickets.model import tickets
from tocsin.tickets.sla import RUNNING, State


def sla_condition(leaf: Leaf, now: datetime, dialect: str) -> ColumnElement[bool]:
    """Whether the field `sla` meets a condition; true or false, never null."""
    columns = tickets.c
    there = columns.sla_state.is_not(None)
    if isinstance(leaf, Exists):
        return there
    if isinstance(leaf, Equals):
        return _is(State(leaf.text), now, rare=_RARE[dialect])
    name = case(*((_is(state, now, rare=_as_it_is), state.value) for state in State), else_="")
    return and_(there, name.regexp_match(text_test(leaf).pattern))


def _as_it_is(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition


def _told_to_be_rare(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """SQLite knows nothing of how many rows meet a condition, and would rather walk all that are OPEN.

    As a number: a truth value would be compared with 1, and what is compared is not looked for in an index.
    """
    return func.likelihood(condition, literal_column("0.000001"), type_=Integer())


_RARE: Final = {"sqlite": _told_to_be_rare, "postgresql": _as_it_is}


def _is(
    state: State, now: datetime, *, rare: Callable[[ColumnElement[bool]], ColumnElement[bool]]
) -> ColumnElement[bool]:
    """What is rare has an index in which few rows stand: it is looked for there."""
    columns = tickets.c
    if state not in RUNNING:
        return and_(columns.sla_state.is_not(None), columns.sla_state == state.value)
    runs = and_(columns.sla_state.is_not(None), columns.sla_state.in_([one.value for one in RUNNING]))
    overdue = and_(columns.sla_due_at.is_not(None), columns.sla_due_at <= now)
    at_risk = and_(columns.sla_at_risk_at.is_not(None), columns.sla_at_risk_at <= now)
    paused = columns.sla_state == State.PAUSED.value  # as long as it is on hold, that is what was written
    no_end = or_(columns.held_until.is_(None), columns.held_until > now)
    held = and_(columns.held_since.is_not(None), no_end)
    return {
        State.BREACHED: and_(columns.sla_due_at.is_not(None), rare(columns.sla_due_at <= now)),
        State.PAUSED: and_(columns.sla_state.is_not(None), rare(paused), held, not_(overdue)),
        State.AT_RISK: and_(
            columns.sla_at_risk_at.is_not(None), rare(columns.sla_at_risk_at <= now), not_(held), not_(overdue)
        ),
        State.ON_TRACK: and_(runs, not_(held), not_(overdue), not_(at_risk)),
    }[state]
