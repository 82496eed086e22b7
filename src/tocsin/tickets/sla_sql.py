"""The state of a ticket's clocks as a SQL condition: what was written down, and what time has made of it since."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, not_, or_

from tocsin.query.patterns import text_test
from tocsin.query.tree import Equals, Exists, Leaf
from tocsin.tickets.model import tickets
from tocsin.tickets.sla import RUNNING, State


def sla_condition(leaf: Leaf, now: datetime) -> ColumnElement[bool]:
    """Whether the field `sla` meets a condition; true or false, never null."""
    columns = tickets.c
    there = columns.sla_state.is_not(None)
    if isinstance(leaf, Exists):
        return there
    if isinstance(leaf, Equals):
        return _is(State(leaf.text), now)
    name = case(*((_is(state, now), state.value) for state in State), else_="")
    return and_(there, name.regexp_match(text_test(leaf).pattern))


def _is(state: State, now: datetime) -> ColumnElement[bool]:
    """Each begins with a column that has an index in which few rows stand."""
    columns = tickets.c
    if state not in RUNNING:
        return and_(columns.sla_state.is_not(None), columns.sla_state == state.value)
    runs = and_(columns.sla_state.is_not(None), columns.sla_state.in_([one.value for one in RUNNING]))
    overdue = and_(columns.sla_due_at.is_not(None), columns.sla_due_at <= now)
    at_risk = and_(columns.sla_at_risk_at.is_not(None), columns.sla_at_risk_at <= now)
    no_end = or_(columns.held_until.is_(None), columns.held_until > now)
    held = and_(columns.held_since.is_not(None), no_end)
    return {
        State.BREACHED: overdue,
        State.PAUSED: and_(runs, held, not_(overdue)),
        State.AT_RISK: and_(at_risk, not_(held), not_(overdue)),
        State.ON_TRACK: and_(runs, not_(held), not_(overdue), not_(at_risk)),
    }[state]
