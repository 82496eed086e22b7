"""The filter language in SQL: the same as a predicate, on each database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Integer, Table, Text, delete, insert, select

from tocsin.kit.clock import to_us
from tocsin.logs.timestamps import us_of_text
from tocsin.query.errors import QueryError
from tocsin.query.parse import parse
from tocsin.query.predicate import compile_predicate
from tocsin.query.schema import Field, Kind, Schema
from tocsin.query.sql import compile_condition
from tocsin.query.tree import Named, Phrase
from tocsin.storage.columns import Instant, metadata
from tocsin.storage.database import Database

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
THINGS = Schema(
    fields=(
        Field("id", Kind.NUMBER),
        Field("state", Kind.KEYWORD, values=("OPEN", "DONE")),
        Field("rank", Kind.ORDERED, ranks={"HIGH": (1, 1), "LOW": (2, 3)}, name_of=str.upper),
        Field("service", Kind.KEYWORD),
        Field("title", Kind.TEXT),
        Field("notes", Kind.TEXT),
        Field("at", Kind.INSTANT, parse_instant=us_of_text),
        Field("count", Kind.NUMBER),
        Field("urgent", Kind.BOOLEAN),
    ),
    anywhere=("title", "notes"),
    attributes=False,
    regexes=False,
)


@pytest.fixture
def things(database: Database) -> Iterator[Table]:
    table = Table(
        "things",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("state", Text),
        Column("rank", Integer),
        Column("service", Text),
        Column("title", Text),
        Column("notes", Text),
        Column("at", Instant),
        Column("count", Integer),
        Column("urgent", Boolean),
    )
    with database.dialect.writers.begin() as connection:
        table.create(connection)
    yield table
    metadata.remove(table)


class Row:
    def __init__(self, values: dict[str, Any]) -> None:
        self.values = {**values, "at": None if values["at"] is None else to_us(values["at"])}

    def get(self, field: str) -> Any:
        return self.values[field]

    def attributes(self) -> Any:
        return {}


PIECES = [
    "time",
    "TIMED",
    "out",
    "é",
    "É",
    "a.b",
    "eu-west-1",
    "(x)",
    "50%",
    "a_b",
    "\\d",
    "ß",
    "ẞ",
    "\u212a",
    "Σ",
    "ς",
]
PIECES += ["[z]", "$", "^", "{2}", "a+", "x|y", "\n", "a b"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=4).map(" ".join) | st.lists(st.sampled_from(PIECES), max_size=3).map(
    "".join
)
ROWS = st.builds(
    dict,
    state=st.sampled_from(["OPEN", "DONE"]) | st.none(),
    rank=st.integers(1, 3) | st.none(),
    service=TEXT | st.none(),
    title=TEXT,
    notes=TEXT | st.none(),
    at=st.none() | st.integers(0, 7200).map(lambda s: NOW - timedelta(seconds=s)),
    count=st.integers(-5, 600) | st.none(),
    urgent=st.booleans() | st.none(),
)
QUOTED = st.sampled_from(PIECES).map(lambda word: '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"')
BARE = st.sampled_from(
    ["time", "TIMED", "tim*", "*ime*", "t?me", "é", "É*", "eu-*", "a.b", "a_b", "\u212a", "σ", "50%", "*", "?"]
)
CONDITIONS = st.tuples(st.sampled_from(["", "title:", "notes:", "service:"]), BARE | QUOTED).map("".join) | (
    st.sampled_from(
        [
            "state:open",
            "state:OP*",
            "-state:DONE",
            "state:none",
            "service:none",
            "rank:HIGH",
            "rank:>HIGH",
            "rank:[HIGH TO LOW}",
            "at:>-1h",
            "at:[2026-11-24T11:00:00Z TO *]",
            "count:>5",
            "count:<=2.5",
            "count:1e300",
            "count:{-4 TO 500]",
            "id:>0",
            "urgent:true",
            "urgent:false",
            "_exists_:notes",
            "_exists_:at",
        ]
    )
)
QUERIES = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.tuples(inner, st.sampled_from([" ", " AND ", " OR "]), inner).map(lambda t: f"({''.join(t)})")
        | inner.map(lambda q: f"NOT {q}")
    ),
    max_leaves=5,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(queries=st.lists(QUERIES, min_size=1, max_size=8), rows=st.lists(ROWS, min_size=1, max_size=6))
def test_a_condition_and_a_predicate_agree(
    database: Database, things: Table, queries: list[str], rows: list[dict[str, Any]]
) -> None:
    stored = [{"id": number, **row} for number, row in enumerate(rows)]
    with database.dialect.writers.begin() as connection:
        connection.execute(delete(things))
        connection.execute(insert(things), stored)
        for query in queries:
            node = parse(query, THINGS, now=NOW)
            predicate = compile_predicate(node, THINGS)
            found = connection.execute(select(things.c.id).where(compile_condition(node, dict(things.c), THINGS)))
            assert set(found.scalars()) == {row["id"] for row in stored if predicate(Row(row))}, query


def test_every_character_means_itself(database: Database, things: Table) -> None:
    """Whatever stands in a pattern or beside a word, all engines see it alike."""
    characters = [chr(code) for code in (*range(1, 0x180), 0x2C2, 0x1E9E, 0x212A, 0x1F600)]
    rows = [{"id": number, "title": f"a{one}b time{one}"} for number, one in enumerate(characters)]
    with database.dialect.writers.begin() as connection:
        connection.execute(insert(things), rows)
        for query in ["time", "a?b", *(Phrase(Named("title"), f"A{one}B") for one in characters)]:
            node = parse(query, THINGS, now=NOW) if isinstance(query, str) else query
            predicate = compile_predicate(node, THINGS)
            found = connection.execute(select(things.c.id).where(compile_condition(node, dict(things.c), THINGS)))
            assert set(found.scalars()) == {
                row["id"] for row in rows if predicate(Row({"at": None, "notes": None, **row}))
            }, query


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("title:/x/", "regular expressions can't be used here"),
        ("/x/", "regular expressions can't be used here"),
        ("state:gone", "'gone' is none of OPEN, DONE"),
        ("@a:x", "there is no field"),
        ("rnak:HIGH", "did you mean rank?"),
    ],
)
def test_what_sql_can_t_do_is_refused_by_name(query: str, said: str) -> None:
    with pytest.raises(QueryError, match=said.replace("?", r"\?")):
        parse(query, THINGS, now=NOW)
