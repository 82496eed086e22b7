"""Conditions on names (services, people, teams, codes): the spellings that are there, looked up where they stand.

A name is compared without case, which no index can do by our rules; but of each there are few, and an index skips from
one to the next.
"""

from typing import Any, Final

from sqlalchemy import Column, ColumnElement, and_, false, func, select

from tocsin.query.patterns import text_test
from tocsin.query.predicate import text_matcher
from tocsin.query.tree import Exists, Leaf
from tocsin.storage.tx import ReadTx
from tocsin.tickets.rarity_sql import MOST_ROWS, are_few, beside_indexes

# Columns of `tickets` that an index begins with.
NAMES: Final = ("service", "assignee", "team", "resolution_code")
MOST_NAMES: Final = 2_000


def name_condition(tx: ReadTx, column: Column[Any], leaf: Leaf, *, most: int = MOST_ROWS) -> ColumnElement[bool]:
    """Whether a name meets a condition; true or false, never null."""
    there = column.is_not(None)
    if isinstance(leaf, Exists):
        return there
    names = _names(tx, column)
    if names is None:
        return and_(there, column.regexp_match(text_test(leaf).pattern))
    matches = text_matcher(leaf)
    mine = [name for name in names if matches(name)]
    if len(mine) < 2:
        return and_(there, column == mine[0]) if mine else false()
    inside = column.in_(mine)
    if tx.dialect == "sqlite" and not are_few(tx, inside, most=most):
        inside = beside_indexes(column).in_(mine)
    return and_(there, inside)


def _names(tx: ReadTx, column: Column[Any]) -> list[str] | None:
    """All that are there; None when they are too many to look at."""
    first = select(func.min(column).label("name")).where(column.is_not(None)).cte("names", recursive=True)
    following = select(func.min(column)).where(column > first.c.name).scalar_subquery()
    names = first.union_all(select(following).where(first.c.name.is_not(None)))
    statement = select(names.c.name).where(names.c.name.is_not(None)).limit(MOST_NAMES + 1)
    found = list(tx.execute(statement).scalars())
    return None if len(found) > MOST_NAMES else found
