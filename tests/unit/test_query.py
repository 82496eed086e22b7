"""The filter language: what a text means, what is wrong with it, and that all engines agree."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.logs.budget import Budget
from tocsin.logs.fields import LOGS
from tocsin.logs.levels import level_of_severity
from tocsin.logs.parts import Sought, matching
from tocsin.logs.segments import write
from tocsin.logs.shapes import columns_of, split, type_of
from tocsin.query.errors import QueryError
from tocsin.query.expressions import Layout
from tocsin.query.parse import parse
from tocsin.query.predicate import compile_predicate
from tocsin.query.pruning import may_match, tokens_of
from tocsin.query.tree import Node
from tocsin.query.values import flatten

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_US = 1_795_521_600_000_000


class Row:
    def __init__(self, **values: Any) -> None:
        self.values = {
            "id": 1,
            "timestamp": NOW_US,
            "observed_at": NOW_US,
            "severity_number": 9,
            "service": "shop",
            "message": "",
            "trace_id": None,
            "span_id": None,
            "source": None,
            "backfill": False,
            "attributes": "{}",
            **values,
        }

    def get(self, field: str) -> Any:
        return self.values[field]

    def attributes(self) -> Any:
        return flatten(self.values["attributes"])


def holds(query: str, **values: Any) -> bool:
    return compile_predicate(parse(query, LOGS, now=NOW), LOGS)(Row(**values))


RECORD = {
    "service": "Payments",
    "message": "GET /api/v1/users timed out after 5030 ms (user@example.com) é 10.0.0.1",
    "severity_number": 17,
    "trace_id": "abc-123",
    "attributes": '{"region":"eu-west-1","ms":500.0,"code":"500","ok":true,"none":null,'
    '"http":{"path":"/api/v1"},"tags":["a","B"]}',
}


@pytest.mark.parametrize(
    "query",
    [
        "*",
        "",
        "timed",
        "TIMED",
        '"med ou"',
        "-absent",
        "NOT absent",
        "timed out",
        "absent OR timed",
        "*ime*",
        "tim*",
        "t?med",
        "user@example.com",
        "10.0.0.1",
        "/api/v1/users",
        "abc-123",
        "eu-west-1",
        "500.0",
        "true",
        "É",
        "service:payments",
        "service:PAY*",
        'service:"payments"',
        "level:ERROR",
        "level:err",
        "level:>=WARNING",
        "level:[WARNING TO ERROR]",
        "level:(DEBUG OR ERROR)",
        "@region:eu-*",
        "attributes.region:EU-west-1",
        "@ms:500",
        "@ms:>499",
        "@ms:[1 TO 500]",
        "@ms:[500 TO *}",
        "@code:500",
        "@code:>=500",
        "@ok:true",
        "@http.path:/api/v1",
        "@tags:b",
        "_exists_:@http",
        "_exists_:trace_id",
        "NOT _exists_:@none",
        "-@none:x",
        "source:none",
        "message:/after \\d{4,} ms/",
        "message:/(?i)GET/",
        "/\\bout\\b/",
        "timestamp:>=-1m",
        "timestamp:2026-11-24T12:00:00Z",
        "backfill:false",
        "timed AND (absent OR out) -gone",
        "absent OR timed AND out",
        "service:(shop OR payments)",
        "timestamp:[2026-11-24 TO 2026-11-25}",
        "id:1",
        '@"region":eu*',
        "!absent",
        "timed && out",
        "x || timed",
    ],
)
def test_true_of_the_record(query: str) -> None:
    assert holds(query, **RECORD)


@pytest.mark.parametrize(
    "query",
    [
        "time",
        "ime*",
        "0.0.0.1",
        "users/",
        "service:pay",
        "service:paymentsx",
        "level:WARNING",
        "level:>ERROR",
        "@region:eu",
        "@ms:<500",
        "@ms:{500 TO *]",
        "@region:>5",
        "@none:*",
        "_exists_:@none",
        "@absent:x",
        "source:*",
        "message:/GET$/",
        "@ok:>0",
        "timed -out",
        "NOT timed",
        "absent AND timed OR gone",
        "timestamp:<-1m",
        "backfill:true",
        "@code:500.0",
        "trace_id:abc",
        "t?ed",
        "(absent OR gone) timed",
    ],
)
def test_not_true_of_the_record(query: str) -> None:
    assert not holds(query, **RECORD)


@pytest.mark.parametrize(
    ("query", "column", "said"),
    [
        ("levle:ERROR", 1, "did you mean level?"),
        ("a regoin:x", 3, "@regoin"),
        ("(a", 3, "expected )"),
        ("a)", 2, "closes nothing"),
        ('a "b', 3, "never closed"),
        ("a AND", 6, "expected a condition"),
        ("OR a", 1, "before it"),
        ("level:bad", 1, "CRITICAL"),
        ("@ms:>x", 1, "number"),
        ("service:>a", 1, "compared"),
        ("message:/(?=x)/", 1, "look-around"),
        ("message:/(/", 1, "regular"),
        ("message:/\\1/", 1, "isn't supported"),
        ("timestamp:>soon", 1, "timestamp"),
        ("service:", 9, "nothing stands"),
        ("a~2", 1, "fuzzy"),
        ("()", 2, "expected a condition"),
        ("message:/[a&&b]/", 1, "&&"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(query: str, column: int, said: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse(query, LOGS, now=NOW)
    assert raised.value.column == column
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 1000 + "a" + ")" * 1000,
        "a " * 1000,
        "message:/" + "a" * 50_000 + "/",
        "message:/(a{1000}){1000}/",
        "message:/" + "(" * 300 + "a" + ")" * 300 + "/",
        "message:/a{/",
        "message:/a{,5}/",
        "message:/\\x{D800}/",
        "message:/(?i)?/",
        "message:/(?m){2}/",
        "x" * 20_000,
    ],
)
def test_hostile_queries_are_refused(query: str) -> None:
    with pytest.raises(QueryError):
        parse(query, LOGS, now=NOW)


@pytest.mark.parametrize("query", ["NOT " * 2496 + "timed", "-" * 9_994 + "timed", "NOT (-" * 40 + "timed" + ")" * 40])
def test_any_even_number_of_negations_is_none(query: str) -> None:
    assert holds(query, **RECORD)
    assert not holds(f"-{query}", **RECORD)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("timestamp:2026-11-24", True),
        ("timestamp:<=2026-11-24", True),
        ("timestamp:>2026-11-24", False),
        ("timestamp:[2026-11-23 TO 2026-11-24]", True),
        ("timestamp:[2026-11-23 TO 2026-11-24}", False),
        ("timestamp:{2026-11-23 TO *]", True),
        ("timestamp:<2026-11-24", False),
        ("timestamp:2026-11-25", False),
        ("timestamp:>-999999w", True),
        ("timestamp:<-999999w", False),
    ],
)
def test_a_date_stands_for_its_day_and_the_past_is_long(query: str, expected: bool) -> None:
    assert holds(query) is expected


def test_no_letter_counts_as_none_when_case_is_ignored() -> None:
    assert not holds(r"message:/(?i)^\W$/", message="k")
    assert not holds(r"message:/(?i)^\W$/", message="S")
    assert holds(r"message:/(?i)^\W$/", message="-")


@pytest.mark.parametrize("depth", [10, 100, 5_000])
def test_what_is_nested_deeply_is_read_as_far_as_it_can_be(depth: int) -> None:
    document = '{"a":' * depth + '"deep"' + "}" * depth
    assert holds("deep", attributes=document)
    assert not holds("shallow", attributes=document)


WORDS = st.sampled_from(
    [
        "time",
        "TIMED",
        "out",
        "é",
        "É",
        "a.b",
        "eu-west-1",
        "500",
        "5.0",
        "x_y",
        "true",
        "a b",
        'q"q',
        "ß",
        "K",
        "\n",
        "[z]",
    ]
)
TEXT = st.lists(WORDS, max_size=4).map(" ".join)
SCALARS = WORDS | st.integers(-5, 600) | st.sampled_from([0.5, 500.0, 1e20, -3.25]) | st.booleans() | st.none()
VALUE = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["b", "c"]), SCALARS, max_size=2)
ROWS = st.builds(
    dict,
    message=TEXT,
    service=st.sampled_from(["shop", "Shop", "eu-west-1"]),
    severity_number=st.integers(1, 24),
    trace_id=st.none() | st.sampled_from(["time", "abc-123"]),
    attributes=st.tuples(st.dictionaries(st.sampled_from(["a", "b", "a.b"]), VALUE, max_size=3), st.booleans()).map(
        lambda pair: json.dumps({**pair[0], "pad": ["far more than is kept of a text in statistics"] * pair[1]})
    ),
)
QUOTED = WORDS.map(lambda word: '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"')
BARE = st.sampled_from(
    ["time", "TIMED", "tim*", "*ime*", "t?me", "é", "É*", "500", "eu-*", "a.b", "x_y", "K", "true", "*"]
)
TARGETS = st.sampled_from(["", "message:", "service:", "@a:", "@b:", "@a.b:", "trace_id:"])
REGEXES = st.sampled_from([r"/\d+/", r"/(?i)TIME/", r"/\bout\b/", r"/^\w+ [^é]/", r"/[\d\s]$/", r"/a|ß/", r"/\W/"])
CONDITIONS = (
    st.tuples(TARGETS, BARE | QUOTED).map("".join)
    | st.tuples(st.sampled_from(["message:", "@a:", "service:"]), REGEXES).map("".join)
    | st.tuples(
        st.sampled_from(["@a:", "@b:"]), st.sampled_from([">5", "<=500", "[0 TO 500}", "{-4 TO *]", ">=5.0"])
    ).map("".join)
    | st.sampled_from(
        [
            "level:ERROR",
            "level:>=WARNING",
            "level:<INFO",
            "_exists_:@a",
            "_exists_:@a.b",
            "_exists_:trace_id",
            "@a:500.0",
            "trace_id:none",
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


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    filled = [Row(**row).values for row in rows]
    frame = pl.DataFrame(
        filled,
        schema={
            "id": pl.Int64,
            "timestamp": pl.Int64,
            "observed_at": pl.Int64,
            "severity_number": pl.UInt8,
            "service": pl.String,
            "message": pl.String,
            "trace_id": pl.String,
            "span_id": pl.String,
            "source": pl.String,
            "backfill": pl.Boolean,
            "attributes": pl.String,
        },
    )
    return frame.with_columns(pl.col("timestamp", "observed_at").cast(pl.Datetime("us", "UTC")))


class Exact:
    """The facts of one record."""

    def __init__(self, row: Row) -> None:
        self.row = row
        texts = [row.get("message"), row.get("trace_id") or ""]
        texts += [value.text for values in row.attributes().values() for value in values]
        self.tokens = set().union(*(tokens_of(text) for text in texts))

    def has_tokens(self, wanted: Any) -> bool:
        return set(wanted) <= self.tokens

    def may_have_rank(self, column: str, test: Any) -> bool:
        return bool(test(self.row.get(column)))

    def may_have_keyword(self, column: str, test: Any) -> bool:
        return bool(test(self.row.get(column) or ""))

    def may_have_time(self, column: str, low: Any, high: Any) -> bool:
        return (low is None or self.row.get(column) >= low) and (high is None or self.row.get(column) <= high)


def hits(lazy: pl.LazyFrame, node: Node, layout: Layout) -> list[int]:
    return sorted(matching(lazy, Sought(node), layout, Budget(), wanted=["id"]).collect(engine="streaming")["id"])


@settings(max_examples=250, deadline=None)
@given(query=QUERIES, rows=st.lists(ROWS, min_size=1, max_size=6))
def test_all_engines_agree(query: str, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> None:
    node = parse(query, LOGS, now=NOW)
    predicate = compile_predicate(node, LOGS)
    rows = [{**row, "id": number} for number, row in enumerate(rows)]
    expected = [row["id"] for row in rows if predicate(Row(**row))]

    raw = frame_of(rows)
    parted = split(raw)
    typed = {path: type_of(kind) for path, kind in columns_of(parted).items()}
    layout = Layout(typed, parted.get_column("attributes").null_count() < len(parted))
    file = tmp_path_factory.getbasetemp() / "agreeing.parquet"
    write(parted, file)
    assert hits(raw.lazy(), node, Layout({}, has_raw=True)) == expected
    assert hits(parted.lazy(), node, layout) == expected
    assert hits(pl.scan_parquet(file), node, layout) == expected
    for row in rows:
        assert row["id"] not in expected or may_match(node, Exact(Row(**row)), LOGS)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*r"abkKſK()[]{}|*+?.^$,-9_ é", r"\w", r"\W", r"\d", r"\S", r"\b", "(?i)", "[^", "{2}", "(?:"]),
        max_size=8,
    ).map("".join),
    TEXT,
)
def test_a_pattern_that_is_taken_means_the_same_to_both_engines(pattern: str, text: str) -> None:
    try:
        node = parse(f"message:/{pattern}/", LOGS, now=NOW)
    except QueryError:
        return
    for message in (text, "kS-9", "aKb é"):
        frame = frame_of([{"message": message, "id": 0}])
        expected = [0] if compile_predicate(node, LOGS)(Row(message=message)) else []
        assert hits(frame.lazy(), node, Layout({}, has_raw=False)) == expected, message


def test_every_severity_is_of_the_level_that_a_query_calls_it() -> None:
    for number in range(1, 25):
        assert holds(f"level:{level_of_severity(number).name}", severity_number=number)
