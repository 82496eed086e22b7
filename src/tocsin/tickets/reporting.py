"""What tickets add up to: counts, times to acknowledge and to resolve, SLA attainment, by what they have in common.

Pure: columns in, figures out. A median of an even number of times is the mean of the middle two, a p90 lies between its
neighbours in the same way (linear interpolation, as `percentile_cont` in SQL).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from typing import Any, Final

import polars as pl

from tocsin.kit.priorities import Priority

GROUPS: Final = ("priority", "service", "team", "assignee", "opened_by", "source", "status", "hour_of_week")
HOUR_OF_WEEK: Final = "hour_of_week"
_US: Final = 1_000_000
_SLOT_US: Final = 900 * _US  # offsets of time zones change at quarters of an hour
MISSING: Final = -1 << 62  # of a time that is not there; no other is so short
_PRIORITIES: Final = {priority.value: priority.name for priority in Priority}
COUNTS: Final = 1 << 21  # a packed count is less


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in seconds; None when there is nothing to go by."""

    n: int
    mean_s: float | None
    median_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a group of tickets adds up to. `attained` is the share of those with an outcome that kept their SLA."""

    key: str | None
    tickets: int
    unresolved: int
    acknowledge: Times
    resolve: Times
    reopened: int
    reopens: int
    reassigned: int
    reassignments: int
    sla_met: int
    sla_missed: int

    @property
    def sla_attained(self) -> float | None:
        known = self.sla_met + self.sla_missed
        return self.sla_met / known if known else None


def frame(columns: Mapping[str, Any]) -> pl.DataFrame:
    """Columns as `report_store` reads them: times, where they are, priorities by their names, and what is packed
    into `packed`: ((reopens * COUNTS + reassignments) * 4 + (met: 0, 1, or 2 for not known)) * 2 + (1 if unresolved).
    """
    read = pl.DataFrame({name: pl.Series(values, dtype=_type(values)) for name, values in columns.items()})
    if read.schema.get("key") == pl.Int64:
        read = read.with_columns(pl.col("key").replace_strict(_PRIORITIES, return_dtype=pl.String))
    if "packed" not in columns:
        return read
    times = [_missing_is_null(name) for name in ("acknowledge_us", "resolve_us")]
    counts = pl.col("packed") // 8
    return read.with_columns(
        *times,
        open=pl.col("packed") % 2,
        met=pl.col("packed") // 2 % 4,
        reopens=counts // COUNTS,
        reassignments=counts % COUNTS,
    )


def _type(values: Any) -> Any:
    return pl.String if isinstance(values, list) else pl.Int64


def _missing_is_null(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != MISSING).then(pl.col(name)).alias(name)


def with_hours(tickets: pl.DataFrame, zone: tzinfo) -> pl.DataFrame:
    """Their keys as the hour of the week by the clock on the wall: `0 00` is Monday from midnight on."""
    slots = (tickets["opened_at"] // _SLOT_US).alias("slot")
    known = slots.unique()
    names = [_hour_of_week(slot, zone) for slot in known]
    table = pl.DataFrame({"slot": known, "key": pl.Series(names, dtype=pl.String)})
    # The order of rows does not matter to any figure.
    return tickets.drop("key", strict=False).with_columns(slots).join(table, on="slot").drop("slot")


def _hour_of_week(slot: int, zone: tzinfo) -> str:
    local = datetime.fromtimestamp(slot * _SLOT_US // _US, UTC).astimezone(zone)
    return f"{local.weekday()} {local.hour:02d}"


def _times(name: str) -> list[pl.Expr]:
    taken = pl.col(f"{name}_us")
    return [
        taken.count().alias(f"{name}_n"),
        taken.mean().alias(f"{name}_mean"),
        taken.median().alias(f"{name}_median"),
        taken.quantile(0.9, interpolation="linear").alias(f"{name}_p90"),
    ]


_FIGURES: Final = [
    pl.len().alias("tickets"),
    (pl.col("open") == 1).sum().alias("unresolved"),
    *_times("acknowledge"),
    *_times("resolve"),
    (pl.col("reopens") > 0).sum().alias("reopened"),
    pl.col("reopens").sum(),
    (pl.col("reassignments") > 0).sum().alias("reassigned"),
    pl.col("reassignments").sum(),
    (pl.col("met") == 1).sum().alias("sla_met"),
    (pl.col("met") == 0).sum().alias("sla_missed"),
]


def by_key(tickets: pl.DataFrame) -> list[Figures]:
    """The figures of each group, in the order of their keys; those without any at the end."""
    found = tickets.lazy().group_by("key").agg(*_FIGURES).collect()
    return sorted((_figures(row) for row in found.iter_rows(named=True)), key=lambda one: (one.key is None, one.key))


def total(tickets: pl.DataFrame) -> Figures:
    """The figures of all of them together."""
    [row] = tickets.lazy().select(*_FIGURES).collect().iter_rows(named=True)
    return _figures({"key": None, **row})


def _figures(row: Mapping[str, Any]) -> Figures:
    plain = ("key", "tickets", "unresolved", "reopened", "reopens", "reassigned", "reassignments", "sla_met",
             "sla_missed")  # fmt: skip
    return Figures(
        **{name: row[name] for name in plain},
        acknowledge=_times_of(row, "acknowledge"),
        resolve=_times_of(row, "resolve"),
    )


def _times_of(row: Mapping[str, Any], name: str) -> Times:
    return Times(row[f"{name}_n"], *(_seconds(row[f"{name}_{what}"]) for what in ("mean", "median", "p90")))


def _seconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else round(microseconds / _US, 6)


AGES: Final = (("1h", 3_600), ("8h", 28_800), ("1d", 86_400), ("3d", 259_200), ("7d", 604_800), ("30d", 2_592_000))


@dataclass(frozen=True, slots=True)
class Backlog:
    """Tickets that are not resolved, by how long they have been open. `by_age` counts those younger than each age and
    not than the one before; the last entry those that are older than all."""

    key: str | None
    tickets: int
    by_age: tuple[int, ...]
    median_age_s: float | None
    oldest_age_s: float | None


def backlog(tickets: pl.DataFrame, now_us: int) -> list[Backlog]:
    """The backlog of each group of unresolved tickets, in the order of their keys."""
    ages = tickets.with_columns(((now_us - pl.col("opened_at")) / _US).alias("age"))
    bounds = [0, *(seconds for _, seconds in AGES), None]
    counts = [
        (pl.col("age").ge(low) & (pl.lit(True) if high is None else pl.col("age").lt(high))).sum().alias(f"n{place}")
        for place, (low, high) in enumerate(pairwise(bounds))
    ]
    found = ages.lazy().group_by("key").agg(
        pl.len().alias("tickets"), *counts, pl.col("age").median().alias("median"), pl.col("age").max().alias("oldest")
    ).collect()  # fmt: skip
    rows = [
        Backlog(row["key"], row["tickets"], tuple(row[f"n{n}"] for n in range(len(counts))), row["median"],
                row["oldest"])
        for row in found.iter_rows(named=True)
    ]  # fmt: skip
    return sorted(rows, key=lambda one: (one.key is None, one.key))
