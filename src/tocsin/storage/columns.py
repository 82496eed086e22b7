"""Column types that mean the same on every database, and the metadata all tables belong to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, MetaData, literal, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ColumnElement, Tuple
from sqlalchemy.types import TypeDecorator

from tocsin.kit.clock import from_us, to_us

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)

# Autoincrementing 64-bit keys; SQLite knows them by the name INTEGER only.
BigId = BigInteger().with_variant(Integer(), "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as microseconds since 1970: exact, ordered and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_us(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_us(value)


def row_value(columns: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> Tuple:
    """`values` as a row that compares with `tuple_(*columns)`.

    Each gets its column's type; by itself an instant would be bound as a text, which is greater than every number.
    """
    return tuple_(*(literal(value, column.type) for column, value in zip(columns, values, strict=True)))
