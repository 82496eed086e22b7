"""What SQLite does not know: whether few rows meet a condition. It takes an index for selective whatever stands in it.

Where few do, they are looked for by that index; where many do, it is kept from it, and the order that is asked for is
walked instead: a page is soon full. PostgreSQL counts for itself, and is left alone.
"""

from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, func, literal_column, select
from sqlalchemy.sql.elements import Grouping, UnaryExpression
from sqlalchemy.sql.operators import custom_op

from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import tickets

MOST_ROWS: Final = 3_000


def are_few(tx: ReadTx, condition: ColumnElement[bool], *, most: int = MOST_ROWS) -> bool:
    """Whether at most so many tickets meet a condition; counted in an index, no further than that."""
    some = select(tickets.c.id).where(condition).limit(most + 1).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one()) <= most


def rare(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """A condition that SQLite is told few rows meet.

    As a number: a truth value would be compared with 1, and what is compared is not looked for in an index.
    """
    return func.likelihood(condition, literal_column("0.000001"), type_=Integer())


def beside_indexes(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column, or a whole condition, that SQLite looks for in no index."""
    return UnaryExpression(Grouping(column), operator=custom_op("+"), type_=column.type)
