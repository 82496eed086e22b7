"""Use cases of patterns: read them, merge and split them by hand, undo that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from tocsin.alerts import linking, pattern_pages, pattern_store
from tocsin.alerts.merging import ALIAS, MERGE, SPLIT, Change
from tocsin.alerts.pattern_pages import Summary, Wanted, Window
from tocsin.alerts.pattern_store import Counted, Pattern
from tocsin.alerts.regexes import matches, regex_for, regex_of
from tocsin.kit.clock import EPOCH
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound
from tocsin.kit.events import PatternChangeUndone, PatternMerged, PatternSplit
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

TREND: Final = timedelta(hours=24)
DETAIL: Final = timedelta(days=7)
BARS: Final = 24
MAX_SPLITS: Final = 200  # each costs every compaction a look
SORTS: Final = ("count", "newest", "trend")
_HOUR: Final = timedelta(hours=1)
_LATEST: Final = datetime.max.replace(tzinfo=UTC) - _HOUR
_ZERO: Final = 1 << 50  # a cursor holds no negative number


@dataclass(frozen=True, slots=True)
class PatternQuery:
    """Which patterns: `text` in a template, a service, records with event times in [since, until)."""

    text: str | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sort: str = "count"
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A pattern as it is listed: `bars` are its records over the window, each of `bar_s` seconds."""

    summary: Summary
    services: list[str]
    window: Window
    hours: dict[datetime, int]
    bar_s: float
    bars: list[int]
    recent: int
    before: int


@dataclass(frozen=True, slots=True)
class Detail:
    """All there is to say about a pattern."""

    shown: Shown
    regex: str | None
    by_service: dict[str, int]
    aliases: list[Pattern]
    changes: list[Change]


def window_of(now: datetime, since: datetime | None, until: datetime | None, *, default: timedelta = TREND) -> Window:
    """Whole hours around [since, until): by default the last ones, with the present."""
    last = now if until is None else until
    end = _hour_of(last)
    end = end if end == last or last > _LATEST else end + _HOUR
    start = max(_hour_of(end - default if since is None else since), EPOCH)
    return Window(start, start + _hours(end - start) // 2 * _HOUR, max(end, start))


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _hours(span: timedelta) -> int:
    return max(span // _HOUR, 0)


def find(database: Database, query: PatternQuery) -> tuple[list[Shown], str | None]:
    """A page of canonical patterns, and the cursor of the next."""
    kind = f"patterns.{query.sort}"
    after: tuple[int, int] | None = None
    if query.cursor is not None:
        key, last_id = decode_cursor(query.cursor, kind, int, int)
        after = (int(key) - _ZERO, int(last_id))
    wanted = Wanted(
        window=window_of(database.clock.now(), query.since, query.until),
        text=query.text,
        service=query.service,
        only_within=query.since is not None or query.until is not None,
        sort=query.sort,
        after=after,
        limit=query.limit + 1,
    )
    found = database.read(lambda tx: _shown(tx, pattern_pages.page(tx, wanted), wanted))
    items = found[: query.limit]
    if len(found) <= query.limit:
        return items, None
    last = items[-1].summary
    return items, encode_cursor(kind, last.key + _ZERO, last.pattern.id)


def _shown(tx: ReadTx, summaries: Sequence[Summary], wanted: Wanted) -> list[Shown]:
    window = wanted.window
    parts = pattern_pages.parts_of(tx, [summary.pattern.id for summary in summaries])
    by_hour = pattern_pages.hours_of(tx, parts, window, wanted.service)
    hours_a_bar = max(-(-_hours(window.until - window.since) // BARS), 1)
    bars = -(-_hours(window.until - window.since) // hours_a_bar)
    found: list[Shown] = []
    for summary in summaries:
        hours = dict(sorted(by_hour[summary.pattern.id].items()))
        counts = [0] * bars
        for hour, n in hours.items():
            counts[_hours(hour - window.since) // hours_a_bar] += n
        recent = sum(n for hour, n in hours.items() if hour >= window.middle)
        found.append(
            Shown(
                summary=summary,
                services=sorted(parts[summary.pattern.id].services),
                window=window,
                hours=hours,
                bar_s=hours_a_bar * 3600.0,
                bars=counts,
                recent=recent,
                before=sum(hours.values()) - recent,
            )
        )
    return found


def get(database: Database, pattern_id: int, *, since: datetime | None = None, until: datetime | None = None) -> Detail:
    """A pattern; one that was merged is answered by what stands for it. Raises NotFound."""
    window = window_of(database.clock.now(), since, until, default=DETAIL)

    def look(tx: ReadTx) -> Detail:
        canonical = _row(tx, pattern_id).shown_as
        wanted = Wanted(window=window, limit=1, pattern_id=canonical)
        [shown] = _shown(tx, pattern_pages.page(tx, wanted), wanted)
        members = pattern_store.members(tx, canonical)
        _, changes = linking.connected(tx, canonical)
        pattern = shown.summary.pattern
        return Detail(
            shown=shown,
            regex=regex_for(pattern.template, pattern.example),
            by_service=pattern_pages.by_service(tx, [one.id for one in members]),
            aliases=members[1:],
            changes=[change for change in changes if change.kind != ALIAS],
        )

    return database.read(look)


def _row(tx: ReadTx, pattern_id: int) -> Pattern:
    found = pattern_store.by_id(tx, [pattern_id]).get(pattern_id)
    if found is None:
        raise NotFound(what="pattern", id=pattern_id)
    return found


def merge(tx: Tx, pattern_id: int, into_id: int) -> Change:
    """Let one pattern be shown as another from now on, with all that it stands for. Raises NotFound, Conflict."""
    pattern_store.hold(tx)
    one, other = _row(tx, pattern_id).shown_as, _row(tx, into_id).shown_as
    if one == other:
        raise Conflict(detail=f"patterns {pattern_id} and {into_id} are one already")
    change_id = pattern_store.record_change(tx, MERGE, pattern_id, into_id)
    pattern_store.repoint(tx, one, other)
    tx.emit(PatternMerged(pattern_id=pattern_id, change_id=change_id, into_id=into_id))
    return _change(tx, change_id)


def split(tx: Tx, pattern_id: int, template: str) -> Change:
    """Let messages that match a more special template be a pattern of their own from now on.

    Records that were counted before stay where they were, unless they were counted with this very template.
    Raises NotFound, Invalid, Conflict.
    """
    pattern_store.hold(tx)
    source = _row(tx, pattern_id).shown_as
    template = " ".join(template.split())
    _check_special(tx, source, template)
    if len(pattern_store.active_splits(tx)) >= MAX_SPLITS:
        raise Conflict(detail=f"there are {MAX_SPLITS} splits already; undo one first")
    new = Counted(template, tx.now, tx.now, None, "")
    rows = pattern_store.by_digest(tx, [new.digest]) or pattern_store.add_new(tx, [new])
    row = rows[new.digest]
    apart = row.shown_as != source and (row.records > 0 or row.merged_into is not None)
    holds = any(change.pattern_id == row.id for change in pattern_store.active_splits(tx))
    if row.id == source or apart or holds:
        raise Conflict(detail=f"this is the template of pattern {row.id} already")
    change_id = pattern_store.record_change(tx, SPLIT, row.id, source)
    linking.settle(tx, row.id)
    tx.emit(PatternSplit(pattern_id=row.id, change_id=change_id, from_id=source, template=template))
    return _change(tx, change_id)


def _check_special(tx: ReadTx, source: int, template: str) -> None:
    if not any(matches(regex_of(one.template, strict=False), template) for one in pattern_store.members(tx, source)):
        detail = f"no message of pattern {source} can match it"
        raise Invalid(f"template: {detail}", errors=(FieldError("/template", detail),))


def undo(tx: Tx, change_id: int) -> Change:
    """Undo a merge or split that people made. Raises NotFound, Conflict."""
    pattern_store.hold(tx)
    change = _change(tx, change_id)
    if change.kind == ALIAS:
        raise Conflict(detail=f"change {change_id} was made by the miner; split what should be apart")
    if change.undone_at is not None:
        raise Conflict(detail=f"change {change_id} is undone already")
    pattern_store.mark_undone(tx, change_id)
    linking.settle(tx, change.pattern_id)
    tx.emit(
        PatternChangeUndone(
            pattern_id=change.pattern_id, change_id=change_id, other_id=change.into_id, change=change.kind
        )
    )
    return replace(change, undone_at=tx.now, undone_by=str(tx.actor))


def _change(tx: ReadTx, change_id: int) -> Change:
    found = pattern_store.change(tx, change_id)
    if found is None:
        raise NotFound(what="change", id=change_id)
    return found
