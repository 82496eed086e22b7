"""Rows of stored records as a replay hears of them: by commit and group. Pure: frames in, values out.

Records of one commit share `observed_at`. Rows come in pieces, in any order; a commit is handed on once nothing of it
can follow. A rule that looks at each record by itself needs of a group only how many there were and the first and the
last; so no row is kept longer than its piece. A rule that counts needs them all.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from operator import itemgetter
from typing import Any, Final

import polars as pl

from tocsin.alerts.detect import shown
from tocsin.alerts.grouping import correlation_key_of, fingerprint_of, group_of
from tocsin.alerts.rules import TEMPLATE, WINDOWED, Kind, Rule, attribute_path
from tocsin.logs.frames import level_names
from tocsin.logs.shapes import PREFIX
from tocsin.proof.masks import Templates, alike
from tocsin.proof.outcome import Face, Heard
from tocsin.query.expressions import Layout
from tocsin.query.values import flatten

MAX_FACES: Final = 100_000
SERVICE: Final = "service"
SEEN: Final = "seen"
HIT: Final = "hit"
COVERS: Final = "covers"
BACKFILL: Final = "backfill"
_ENDS: Final = ("first_id", "last_id", "first_at", "last_at")
_NOBODY: Final = Face("", "")
_MESSAGE: Final = "message"
_LEVEL: Final = "severity_number"
_ALIKE: Final = "alike"


@dataclass(frozen=True, slots=True)
class _Fields:
    """The columns that hold what tells groups apart, and what alerts that share a ticket have in common."""

    group: tuple[str, ...]
    key: tuple[str, ...]

    @classmethod
    def of(cls, rule: Rule) -> "_Fields":
        group = tuple(f"g{place}" for place in range(len(rule.group_by)))
        return cls(group, tuple(f"k{place}" for place in range(len(rule.correlate_by))))

    def named(self, rule: Rule) -> list[tuple[str, str]]:
        """Each column with the field it is for."""
        return list(zip((*self.group, *self.key), (*rule.group_by, *rule.correlate_by), strict=True))


def wanted(rule: Rule, layout: Layout) -> list[pl.Expr | str]:
    """What of a row is needed."""
    named = _Fields.of(rule).named(rule)
    found: list[pl.Expr | str] = [
        "id",
        pl.col("timestamp").cast(pl.Int64).alias("at"),
        pl.col("observed_at").cast(pl.Int64).alias(SEEN),
        BACKFILL,
        SERVICE,
        *(_value(name, rule, layout).alias(column) for column, name in named if name != TEMPLATE),
    ]
    if TEMPLATE in (*rule.group_by, *rule.correlate_by):
        found += [_MESSAGE, alike(_MESSAGE).alias(_ALIKE)]
    if rule.kind is Kind.ABSENCE:
        found.append(_LEVEL)
    return found


def _value(name: str, rule: Rule, layout: Layout) -> pl.Expr:
    """A field as groups are told apart by it: the same text that `alerts.ruleset` has for it."""
    if name == "level":
        return level_names()
    if name == "rule":
        return pl.lit(rule.name)
    path = attribute_path(name)
    if path is None:
        return pl.col(name).fill_null("")
    typed = pl.col(PREFIX + path).cast(pl.String).fill_null("") if path in layout.typed else pl.lit("")
    if not layout.has_raw:
        return typed
    raw = pl.col("attributes")
    read = raw.map_batches(lambda texts: _texts_at(texts, path), return_dtype=pl.String)
    return pl.when(raw.is_null()).then(typed).otherwise(read)


def _texts_at(raw: pl.Series, path: str) -> pl.Series:
    found = [None if text is None else ", ".join(v.text for v in flatten(text).get(path, ())) for text in raw]
    return pl.Series(found, dtype=pl.String)


class Gatherer:
    """Rows on their way to the replay. `watched` are ids of records of which it is to be known which group they are in;
    `covered`: rows say in a column which silences' matchers are true of them."""

    def __init__(self, rule: Rule, watched: Collection[int] = (), *, covered: bool = False) -> None:
        self._rule = rule
        self._counts = rule.kind in WINDOWED or bool(rule.for_s)
        self._learns = rule.kind is Kind.NEW_PATTERN
        self._fields = _Fields.of(rule)
        self._covered = covered
        apart = [COVERS] if covered and not self._counts else []
        apart += [BACKFILL] if self._learns else []
        self._by = [SEEN, *self._fields.group, *apart]
        self._first = self._of_the_first()
        self._highest = [_LEVEL] if rule.kind is Kind.ABSENCE else []
        self._others = [*self._fields.group, *self._first, *apart, *self._highest]
        grouped = SERVICE in rule.group_by
        self._service_at = rule.group_by.index(SERVICE) if grouped else len(self._fields.group)
        self._templates = Templates()
        self._faces: dict[tuple[str, ...], Face] = {}
        self._waiting: list[pl.DataFrame] = []
        self._watched = pl.Series(sorted(watched), dtype=pl.Int64)
        self.backfilled = 0
        self.fingerprints: dict[int, str] = {}

    def _of_the_first(self) -> list[str]:
        """What is to be taken from the first record of a group, as the others may have something else."""
        mine = () if SERVICE in self._rule.group_by else (SERVICE,)
        return [*mine, *self._fields.key, *([_MESSAGE] if self._rule.kind is Kind.NEW_PATTERN else [])]

    @property
    def waiting(self) -> int:
        """How many rows are kept until their commits are whole."""
        return sum(map(len, self._waiting))

    def add(self, rows: pl.DataFrame, *, hit: bool = True) -> None:
        """Rows with what is `wanted` of them; `hit`: they meet the condition."""
        backfill = rows.get_column(BACKFILL)
        if backfill.any():
            self.backfilled += int(backfill.sum()) if hit else 0
            rows = rows if self._learns else rows.filter(~backfill)
        if rows.is_empty():
            return
        rows = self._with_templates(rows)
        if len(self._watched):
            self._watch(rows)
        if self._counts:
            kept = [SERVICE, *self._by, *self._fields.key, "id", "at", *([COVERS] if self._covered else [])]
            self._waiting.append(rows.select(*kept, pl.lit(hit).alias(HIT)))
        else:
            self._waiting.append(self._summed(rows))

    def _with_templates(self, rows: pl.DataFrame) -> pl.DataFrame:
        if _ALIKE not in rows.columns:
            return rows
        templates = self._templates.of(rows.get_column(_MESSAGE), rows.get_column(_ALIKE))
        columns = [templates.alias(column) for column, name in self._fields.named(self._rule) if name == TEMPLATE]
        return rows.drop(_ALIKE if self._learns else (_MESSAGE, _ALIKE)).with_columns(columns)

    def _watch(self, rows: pl.DataFrame) -> None:
        found = rows.filter(pl.col("id").is_in(self._watched.implode()))
        for record_id, *group in found.select("id", *self._fields.group).rows():
            self.fingerprints[record_id] = self._face(tuple(group)).fingerprint

    def _summed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """One row for each commit and group."""
        first = [pl.col(name).first() for name in self._first]
        ids, times = pl.col("id"), pl.col("at")
        summed = [
            pl.len().cast(pl.Int64).alias("n"),
            ids.min().alias("first_id"),
            ids.max().alias("last_id"),
            times.min().alias("first_at"),
            times.max().alias("last_at"),
            *[pl.col(name).max() for name in self._highest],
        ]
        if not first:  # then no order is to be kept, which takes half the time
            return rows.lazy().group_by(self._by).agg(summed).collect(engine="streaming")
        return rows.sort("id").group_by(self._by).agg(*summed, *first)

    def commits(self, before: int | None) -> Iterator[tuple[int, list[Heard]]]:
        """The commits that are whole because all that follows arrived at that instant or later (None: nothing does)."""
        if not self._waiting:
            return
        rows = pl.concat(self._waiting)
        self._waiting = []
        if before is not None:
            later = rows.filter(pl.col(SEEN) >= before)
            self._waiting = [later] if len(later) else []
            rows = rows.filter(pl.col(SEEN) < before)
        heard = self._listed(rows) if self._counts else self._brought_together(rows)
        for at, group in groupby(heard, key=itemgetter(0)):
            yield at, [one for _, one in group]

    def _brought_together(self, rows: pl.DataFrame) -> Iterator[tuple[int, Heard]]:
        """A commit may lie in several pieces."""
        ordered = rows.sort("first_id") if self._first else rows
        whole = ordered.group_by(self._by).agg(
            pl.col("n").sum(),
            pl.col("first_id", "first_at").min(),
            pl.col("last_id", "last_at", *self._highest).max(),
            *[pl.col(name).first() for name in self._first],
        )
        ordered = whole.sort(SEEN, "first_id").select(SEEN, "n", *_ENDS, *self._others)
        for seen, n, first_id, last_id, first_at, last_at, *others in ordered.iter_rows():
            yield seen, self._heard(Heard(_NOBODY, "", "", n, first_id, last_id, first_at, last_at), others)

    def _listed(self, rows: pl.DataFrame) -> Iterator[tuple[int, Heard]]:
        """Every record by id; what is told of the first is told of the first that meets the condition."""
        the_first = [pl.col(name).sort_by(~pl.col(HIT), maintain_order=True).first() for name in self._first]
        groups = rows.sort(SEEN, "id").group_by(self._by, maintain_order=True)
        each = ["id", "at", HIT, *([COVERS] if self._covered else [])]
        lists = groups.agg(pl.col(each), *the_first).select(SEEN, *self._others, *each)
        for row in lists.iter_rows():
            others, (ids, times, hits, *covering) = row[1 : -len(each)], row[-len(each) :]
            mine = ids if all(hits) else list(compress(ids, hits))
            at = times if mine is ids else list(compress(times, hits)) or times
            ends = ((mine or ids)[0], (mine or ids)[-1], min(at), max(at))
            heard = Heard(_NOBODY, "", "", len(mine), *ends, ids=ids, times=times, hits=hits)
            heard.covering = covering[0] if covering else ()
            yield row[0], self._heard(heard, others)

    def _heard(self, heard: Heard, others: Sequence[Any]) -> Heard:
        """With its names, from `others`: the columns of `_others`."""
        group = tuple(others[: len(self._fields.group)])
        heard.face = self._faces.get(group) or self._face(group)
        heard.service = self._rule.service or others[self._service_at]
        heard.key = heard.face.fingerprint if not self._fields.key else self._key(others, heard.service)
        if self._covered and not self._counts:
            heard.covers = others[self._others.index(COVERS)]
        if self._learns:
            heard.group, heard.message = group, others[self._others.index(_MESSAGE)]
            heard.backfill = others[self._others.index(BACKFILL)]
        if self._highest:
            heard.level = others[-1]
        return heard

    def _face(self, group: tuple[str, ...]) -> Face:
        if len(self._faces) >= MAX_FACES:
            self._faces.clear()
        return self._faces.setdefault(group, face_of(self._rule, group))

    def _key(self, others: Sequence[Any], service: str) -> str:
        names = self._rule.correlate_by
        start = self._others.index(self._fields.key[0])
        values = [service if name == SERVICE else others[start + place] for place, name in enumerate(names)]
        return correlation_key_of(names, values)


def face_of(rule: Rule, group: tuple[str, ...]) -> Face:
    """A group as detection names it."""
    default = rule.group_by == (SERVICE, TEMPLATE)
    fingerprint = fingerprint_of(rule.name, *group) if default else group_of(rule.name, rule.group_by, group)
    return Face(fingerprint, shown(rule.group_by, group))
