"""Which pattern every record has, counted when records become segments, in the transaction that makes them so.

The miner's state is in the database. It is saved in that transaction too, so that counts, segments and what was learned
become true together; a worker that finds another state than the one it learned from starts over from there. Not saved
is a state that differs in nothing but how many lines were seen.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import polars as pl
import structlog
import zstandard
from polars.exceptions import PanicException

from tocsin.alerts import linking, pattern_store
from tocsin.alerts.masking import alike
from tocsin.alerts.mining import Miner
from tocsin.alerts.pattern_store import Counted, digest_of
from tocsin.alerts.regexes import regex_of
from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Conflict, TocsinError
from tocsin.kit.metrics import Metrics
from tocsin.storage.database import Database
from tocsin.storage.dialects import environment_fault
from tocsin.storage.tx import ReadTx, Tx

STATE_VERSION: Final = 1
NOT_MINED: Final = "(not mined)"
OTHER_SERVICES: Final = "(other services)"
MAX_TEXTS: Final = 16_384  # that a batch is mined for: new ones cost 30 us each, and logs must not wait for that
MAX_SERVICES: Final = 50  # of a pattern that are counted by themselves
MAX_EXAMPLE_CHARS: Final = 2_000
BY_HOUR: Final = timedelta(days=7)
FOLD_AFTER: Final = timedelta(days=8)
_FOLD_ROWS: Final = 500

log = structlog.get_logger("tocsin.patterns")


class Learned(msgspec.Struct):
    """What is kept of a miner: its dump, and which pattern each group it has given was counted as."""

    dump: bytes
    digests: dict[int, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be written for some records: counts, merges of the miner (digests), its state if that changed."""

    counted: Mapping[str, Counted]
    aliases: Sequence[tuple[str, str]] = ()
    token: str | None = None  # the state that this follows from; None: from none
    state: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A split: messages of these templates' groups that match are counted as `template`."""

    template: str
    regex: str
    digests: frozenset[str]


@dataclass(slots=True)
class PatternCounter:
    """The hook of compaction; for one thread."""

    database: Database
    metrics: Metrics
    make_miner: Callable[[], Miner] = Miner
    _miner: Miner | None = None
    _digests: dict[int, str] = field(default_factory=dict)
    _token: str | None = None

    def count(self, frame: pl.DataFrame) -> Callable[[Tx], None]:
        """Look at records outside the transaction; returns what is to be done inside.

        Whatever is wrong with the records or the miner, they are counted: without their patterns if need be.
        """
        now = self.database.clock.now()
        try:
            batch = self._mined(frame, now)
        except (OSError, TocsinError):
            raise
        except (Exception, PanicException) as error:  # noqa: BLE001  # compaction goes on whatever this is
            self._give_up(error, len(frame))
            batch = _not_mined(frame, now)
        return lambda tx: self._write(tx, batch, frame, now)

    def count_quickly(self, frame: pl.DataFrame) -> Callable[[Tx], None]:
        """Count records without their patterns: more come in than there is time for."""
        now = self.database.clock.now()
        self.metrics.not_mined.inc(len(frame))
        return lambda tx: _apply(tx, _not_mined(frame, now))

    def _write(self, tx: Tx, batch: Batch, frame: pl.DataFrame, now: datetime) -> None:
        try:
            with tx.attempt():
                _apply(tx, batch)
        except Conflict:
            raise
        except Exception as error:
            if environment_fault(error):
                raise
            self._give_up(error, len(frame))
            _apply(tx, _not_mined(frame, now))

    def _give_up(self, error: BaseException, records: int) -> None:
        """Say so; the next batch begins with the state as it was saved."""
        self._miner, self._token = None, None
        self.metrics.not_mined.inc(records)
        log.error("not_mined", records=records, error=f"{type(error).__name__}: {error}"[:500])

    def _mined(self, frame: pl.DataFrame, now: datetime) -> Batch:
        miner = self._current_miner()
        before, token = (miner.learned, dict(self._digests)), self._token
        rows = frame.select("id", "timestamp", "service", "message", alike(frame.get_column("message")))
        texts = _to_mine(rows)
        at_arrival = [miner.group_of(text) for text in texts]
        groups = {text: miner.find(group) for text, group in zip(texts, at_arrival, strict=True)}
        rules = self.database.read(_rules)
        counted: dict[str, Counted] = {}
        for rule in rules:
            of_rule, rows = self._apart(rows, rule, groups)
            for row in _summed(of_rule, now):
                _add(counted, rule.template, row)
        for row in _summed(rows, now):
            group = groups.get(row["text"])
            if group is None:
                self.metrics.not_mined.inc(row["n"])
                _add(counted, NOT_MINED, row)
            else:
                self._digests[group] = _add(counted, miner.template(group), row)
        split = {digest_of(rule.template) for rule in rules}
        aliases = self._aliases(miner, counted, now, split)
        changed = before != (miner.learned, self._digests)
        return Batch(counted, aliases, token, self._saved(miner) if changed else None)

    def _apart(self, rows: pl.DataFrame, rule: Rule, groups: Mapping[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows that a split takes, and the others."""
        assert self._miner is not None
        mine = {self._miner.find(group) for group, digest in self._digests.items() if digest in rule.digests}
        texts = [text for text, group in groups.items() if group in mine]
        if not texts:
            return rows.clear(), rows
        taken = pl.col("text").is_in(texts) & pl.col("message").str.contains(rule.regex)
        return rows.filter(taken), rows.filter(~taken)

    def _aliases(
        self, miner: Miner, counted: dict[str, Counted], now: datetime, split: set[str]
    ) -> list[tuple[str, str]]:
        """Patterns whose group was merged into another one since; that one has a row from now on."""
        found: list[tuple[str, str]] = []
        for group, digest in list(self._digests.items()):
            root = miner.find(group)
            if root == group:
                continue
            template = miner.template(root)
            self._digests[root] = digest_of(template)
            del self._digests[group]
            if self._digests[root] == digest or digest in split:
                continue
            counted.setdefault(self._digests[root], Counted(template, now, now, None, ""))
            found.append((digest, self._digests[root]))
        return found

    def _current_miner(self) -> Miner:
        """The miner as the database knows it: ours, if nobody else has learned and our last batch was written."""
        if self._miner is None or self.database.read(pattern_store.token) != self._token:
            self._token, version, dump = self.database.read(pattern_store.state)
            self._miner, self._digests = self._loaded(version, dump)
        return self._miner

    def _loaded(self, version: int, dump: bytes) -> tuple[Miner, dict[int, str]]:
        if not dump:
            return self.make_miner(), {}
        try:
            if version != STATE_VERSION:
                raise ValueError(f"version {version}, this program knows {STATE_VERSION}")
            learned = msgspec.msgpack.decode(zstandard.decompress(dump), type=Learned)
            return Miner.load(learned.dump), learned.digests
        except (ValueError, msgspec.MsgspecError, zstandard.ZstdError) as error:
            # Templates have the same texts when they are learned again, hence the same rows.
            log.error("miner_state_unreadable", error=f"{type(error).__name__}: {error}"[:500])
            return self.make_miner(), {}

    def _saved(self, miner: Miner) -> tuple[str, bytes]:
        """The state as it is to be saved, with a token of its own; it is ours when that was committed."""
        self._token = secrets.token_hex(8)
        learned = msgspec.msgpack.encode(Learned(miner.dump(), self._digests))
        return self._token, zstandard.compress(learned, 1)


def _to_mine(rows: pl.DataFrame) -> list[str]:
    """The texts of the rows in the order of their arrival; the most frequent ones, if there are too many."""
    texts = rows.group_by("text").agg(pl.col("id").first(), n=pl.len())
    if len(texts) > MAX_TEXTS:
        texts = texts.sort("n", "id", descending=[True, False]).head(MAX_TEXTS)
    return texts.sort("id").get_column("text").to_list()


def _summed(rows: pl.DataFrame, now: datetime) -> Iterable[dict[str, Any]]:
    """Rows by text, service and hour, the first record first."""
    at = pl.col("timestamp")
    hour = pl.when(at < now - BY_HOUR).then(at.dt.truncate("1d")).otherwise(at.dt.truncate("1h"))
    summed = rows.group_by("text", "service", hour.alias("hour")).agg(
        n=pl.len(),
        first_at=at.min(),
        last_at=at.max(),
        id=pl.col("id").first(),
        message=pl.col("message").first(),
    )
    return summed.sort("id").iter_rows(named=True)


def _add(counted: dict[str, Counted], template: str, row: Mapping[str, Any]) -> str:
    """Count a row of `_summed` as a template; returns its digest."""
    digest = digest_of(template)
    one = counted.get(digest)
    if one is None:
        example = row["message"][:MAX_EXAMPLE_CHARS]
        one = counted[digest] = Counted(template, row["first_at"], row["last_at"], row["id"], example)
    one.first_at, one.last_at = min(one.first_at, row["first_at"]), max(one.last_at, row["last_at"])
    key = (row["hour"], row["service"])
    one.n[key] = one.n.get(key, 0) + row["n"]
    return digest


def _not_mined(frame: pl.DataFrame, now: datetime) -> Batch:
    """All records as one pattern, looking at nothing but their times."""
    rows = frame.select("id", "timestamp", "message", text=pl.lit(""), service=pl.lit(OTHER_SERVICES))
    counted: dict[str, Counted] = {}
    for row in _summed(rows, now):
        _add(counted, NOT_MINED, {**row, "message": ""})
    return Batch(counted)


def _rules(tx: ReadTx) -> list[Rule]:
    """The splits that hold, with the templates of what each was split from."""
    splits = pattern_store.active_splits(tx)
    rows = pattern_store.by_id(tx, {one for split in splits for one in (split.pattern_id, split.into_id)})
    found: list[Rule] = []
    for split in reversed(splits):  # the newest is the most special
        template = rows[split.pattern_id].template
        sources = pattern_store.members(tx, rows[split.into_id].shown_as)
        found.append(Rule(template, regex_of(template), frozenset(one.digest for one in sources)))
    return found


def _apply(tx: Tx, batch: Batch) -> None:
    held = pattern_store.hold(tx)
    if batch.token is not None and held != batch.token:
        raise Conflict(detail="another worker has learned patterns meanwhile")
    rows = pattern_store.by_digest(tx, {*batch.counted, *(old for old, _ in batch.aliases)})
    new = [one for digest, one in batch.counted.items() if digest not in rows]
    rows |= pattern_store.add_new(tx, new)
    services: dict[int, list[str]] = {}
    counted: dict[int, Counted] = {}
    for digest, one in batch.counted.items():
        if one.n:
            pattern = rows[digest]
            services[pattern.id] = _bounded(one, pattern.services)
            counted[pattern.id] = one
    if counted:
        pattern_store.add(tx, counted, services)
    for old, wider in batch.aliases:
        if old in rows:
            linking.alias(tx, rows[old].id, rows[wider].id)
    if batch.state is not None:
        pattern_store.save_state(tx, batch.state[0], STATE_VERSION, batch.state[1])


def _bounded(one: Counted, known: Sequence[str]) -> list[str]:
    """The services of a pattern with those that are new; what is beyond the bound is counted as others."""
    services = list(known)
    counts: dict[tuple[datetime, str], int] = {}
    for (hour, service), n in one.n.items():
        name = service
        if name not in services:
            if len(services) < MAX_SERVICES:
                services.append(name)
            else:
                name = OTHER_SERVICES
        counts[hour, name] = counts.get((hour, name), 0) + n
    one.n = counts
    return services


@dataclass(slots=True)
class FoldHours:
    """The loop that counts old hours by their days, so that the table of counts stays small."""

    database: Database

    def run(self) -> None:
        before = self.database.clock.now() - FOLD_AFTER
        day = before.replace(hour=0, minute=0, second=0, microsecond=0)
        while self.database.read(lambda tx: pattern_store.any_hours(tx, day)):
            self.database.write(lambda tx: pattern_store.fold_hours(tx, day, limit=_FOLD_ROWS), actor=SYSTEM)
