"""Every query that shows patterns: canonical ones, with the counts of what they stand for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, and_, case, cast, func, or_, select, type_coerce

from tocsin.alerts.pattern_model import pattern_counts, patterns
from tocsin.alerts.pattern_store import IN_CLAUSE, Pattern
from tocsin.storage.tx import ReadTx


@dataclass(frozen=True, slots=True)
class Summary:
    """A canonical pattern with all that it stands for. `count` is that of what was asked for: a service, a time."""

    pattern: Pattern
    count: int
    key: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Event times [since, until) on whole hours; `middle` parts what is recent from what was before."""

    since: datetime
    middle: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which canonical patterns: with a text in a template, of a service, with records in the window (`only_within`).

    Sorted by `count`, `newest` (first seen last) or `trend` (grew most), the largest first; `after` is the last
    page's last key and id.
    """

    window: Window
    text: str | None = None
    service: str | None = None
    only_within: bool = False
    sort: str = "count"
    after: tuple[int, int] | None = None
    limit: int = 100
    pattern_id: int | None = None

    @property
    def filtered(self) -> bool:
        """Whether only some of the records of a pattern count."""
        return self.only_within or self.service is not None


def _canonical() -> Any:
    # Cast, or SQLite makes no index for what is joined by it.
    return cast(func.coalesce(patterns.c.merged_into, patterns.c.id), BigInteger)


def _whole() -> Any:
    """All records of each canonical pattern."""
    canonical = _canonical()
    return (
        select(
            canonical.label("of"),
            func.sum(patterns.c.records).label("n"),
            func.min(patterns.c.first_seen_at).label("first_at"),
            func.max(patterns.c.last_seen_at).label("last_at"),
        )
        .group_by(canonical)
        .subquery()
    )


def _inside(since: datetime, until: datetime) -> Any:
    return and_(pattern_counts.c.hour >= since, pattern_counts.c.hour < until)


def _counted(wanted: Wanted) -> Any:
    """Records of each canonical pattern by their hours: in the window, or all when only a service is asked for.

    They are summed by pattern first: these are few, their hours many.
    """
    window, n = wanted.window, pattern_counts.c.n
    recent, before = _inside(window.middle, window.until), _inside(window.since, window.middle)
    grown = case((recent, n), (before, -n), else_=0)
    of_pattern = (pattern_counts.c.pattern_id + 0).label("pattern_id")  # SQLite would read by pattern, all of it
    inner = select(of_pattern, func.sum(n).label("n"), func.sum(grown).label("grown"))
    if wanted.service is not None:
        inner = inner.where(pattern_counts.c.service == wanted.service)
    if wanted.only_within or wanted.service is None:
        inner = inner.where(_inside(window.since, window.until))
    each = inner.group_by(of_pattern).subquery()
    canonical = _canonical()
    return (
        select(canonical.label("of"), func.sum(each.c.n).label("n"), func.sum(each.c.grown).label("grown"))
        .join(patterns, patterns.c.id == each.c.pattern_id)
        .group_by(canonical)
        .subquery()
    )


def page(tx: ReadTx, wanted: Wanted) -> list[Summary]:
    """Canonical patterns with their counts."""
    whole = _whole()
    keys = {"count": whole.c.n, "newest": whole.c.first_at}
    source = select(patterns, whole.c.first_at, whole.c.last_at).join(whole, whole.c.of == patterns.c.id)
    if wanted.filtered or wanted.sort == "trend":
        counted = _counted(wanted)
        source = source.join(counted, counted.c.of == patterns.c.id, isouter=not wanted.filtered)
        keys["trend"] = func.coalesce(counted.c.grown, 0)
        keys["count"] = counted.c.n if wanted.filtered else whole.c.n
    key = type_coerce(keys[wanted.sort], BigInteger)
    statement = (
        source.add_columns(keys["count"].label("count"), key.label("key"))
        .order_by(key.desc(), patterns.c.id.desc())
        .limit(wanted.limit)
    )
    if wanted.text is not None:
        some = patterns.alias()
        like = select(func.coalesce(some.c.merged_into, some.c.id)).where(
            some.c.template.icontains(wanted.text, autoescape=True)
        )
        statement = statement.where(patterns.c.id.in_(like))
    if wanted.after is not None:
        at, last_id = wanted.after
        statement = statement.where(or_(key < at, and_(key == at, patterns.c.id < last_id)))
    if wanted.pattern_id is not None:
        statement = statement.where(patterns.c.id == wanted.pattern_id)
    else:  # one that only alerts know has an example and no records: it is listed once these are counted
        statement = statement.where(or_(whole.c.n > 0, patterns.c.example_id.is_(None)))
    return [_summary(row) for row in tx.execute(statement)]


def _summary(row: Any) -> Summary:
    values = dict(row._mapping)
    count, key, first_at, last_at = (values.pop(name) for name in ("count", "key", "first_at", "last_at"))
    return Summary(Pattern(**values), int(count), int(key), first_at, last_at)


@dataclass(slots=True)
class Parts:
    """What belongs to a canonical pattern: itself and what it stands for, by id, and their services."""

    ids: list[int] = field(default_factory=list)
    services: set[str] = field(default_factory=set)


def parts_of(tx: ReadTx, canonical: Collection[int]) -> dict[int, Parts]:
    found = {one: Parts() for one in canonical}
    wanted = sorted(canonical)
    for start in range(0, len(wanted), IN_CLAUSE):
        some = wanted[start : start + IN_CLAUSE]
        mine = or_(patterns.c.id.in_(some), patterns.c.merged_into.in_(some))
        for row in tx.execute(select(patterns.c.id, patterns.c.merged_into, patterns.c.services).where(mine)):
            of = row.id if row.merged_into is None else row.merged_into
            if of in found:
                found[of].ids.append(row.id)
                found[of].services.update(row.services)
    return found


def hours_of(
    tx: ReadTx, parts: Mapping[int, Parts], window: Window, service: str | None
) -> dict[int, dict[datetime, int]]:
    """Records of canonical patterns by hour, within a window."""
    owners = {one: of for of, part in parts.items() for one in part.ids}
    found: dict[int, dict[datetime, int]] = {of: {} for of in parts}
    wanted = sorted(owners)
    for start in range(0, len(wanted), IN_CLAUSE):
        statement = (
            select(pattern_counts.c.pattern_id, pattern_counts.c.hour, func.sum(pattern_counts.c.n).label("n"))
            .where(pattern_counts.c.pattern_id.in_(wanted[start : start + IN_CLAUSE]))
            .where(_inside(window.since, window.until))
            .group_by(pattern_counts.c.pattern_id, pattern_counts.c.hour)
        )
        if service is not None:
            statement = statement.where(pattern_counts.c.service == service)
        for row in tx.execute(statement):
            hours = found[owners[row.pattern_id]]
            hours[row.hour] = hours.get(row.hour, 0) + int(row.n)
    return found


def by_service(tx: ReadTx, ids: Sequence[int]) -> dict[str, int]:
    """All records of patterns by service."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), IN_CLAUSE):
        statement = (
            select(pattern_counts.c.service, func.sum(pattern_counts.c.n).label("n"))
            .where(pattern_counts.c.pattern_id.in_(ids[start : start + IN_CLAUSE]))
            .group_by(pattern_counts.c.service)
        )
        for row in tx.execute(statement):
            found[row.service] = found.get(row.service, 0) + int(row.n)
    return found
