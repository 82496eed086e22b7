"""Group commit: concurrent requests hand over checked batches, one thread writes all that wait in one transaction."""

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import structlog

from tocsin.kit.actors import SYSTEM, Actor
from tocsin.kit.errors import IdempotencyMismatch, Overloaded, TocsinError, Unavailable
from tocsin.kit.events import Detected, LogsStored
from tocsin.kit.metrics import Metrics
from tocsin.logs import store
from tocsin.logs.chunks import Chunk, pack, slices
from tocsin.logs.record import Columns
from tocsin.logs.sources import few
from tocsin.storage import idempotency, parking
from tocsin.storage.database import Database
from tocsin.storage.dialects import environment_fault
from tocsin.storage.idempotency import Answer, KeyedRequest
from tocsin.storage.tx import Tx

MAX_QUEUE_BYTES: Final = 128 << 20
MAX_GROUP_BYTES: Final = 16 << 20
GATHER_S: Final = 0.002
ID_BLOCK: Final = 100_000


class Detection(Protocol):
    """What the rules say of records. `find` is asked before the write lock is taken, `refresh` in the transaction."""

    def refresh(self, tx: Tx) -> int:
        """Take up what changed of the rules; the state `find` goes by from now on."""
        ...

    def find(self, columns: Columns, first_id: int, backfill: bool) -> Detected:
        """What the rules find in a chunk."""
        ...


log = structlog.get_logger("tocsin.intake")


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a batch's records went: ids `first_id`..`last_id`, None for a batch without valid records."""

    first_id: int | None
    last_id: int | None
    observed_at: datetime


Outcome = Stored | Answer | Exception


@dataclass(slots=True, eq=False)
class Submission:
    """One request's batch on its way into the store.

    `resolve` is called once, in the committer's thread, or by what `via` (such as a loop's `call_soon_threadsafe`)
    is given to run: one call for all submissions of a commit that share it.
    """

    columns: Columns
    rejected: int
    backfill: bool
    size_bytes: int
    actor: Actor
    resolve: Callable[[Outcome], None]
    via: Callable[[Callable[[], None]], object] | None = None
    keyed: KeyedRequest | None = None
    answer: Callable[[Stored], Answer] | None = None


@dataclass(slots=True)
class _Piece:
    """Packed chunks that stand or fall together, with the ids and the matches they got."""

    of: Sequence[Submission]
    first_id: int
    count: int
    backfill: bool
    chunks: list[tuple[int, bool, Chunk]] = field(default_factory=list)
    parts: list[tuple[int, Columns]] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    detected: list[Detected] = field(default_factory=list)
    error: Exception | None = None


class Intake:
    """The committer. `detection` says what the rules find in a chunk."""

    def __init__(
        self,
        database: Database,
        detection: Detection,
        *,
        metrics: Metrics,
        max_queue_bytes: int = MAX_QUEUE_BYTES,
    ) -> None:
        self._database = database
        self._detection = detection
        self._metrics = metrics
        self._max_queue_bytes = max_queue_bytes
        self._changed = threading.Condition()
        self._queue: deque[Submission] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._wanted = 1
        self._last_group = 0
        self._parked: tuple[int, int, str] | None = None
        self._next_id = 1
        self._last_reserved = 0
        metrics.queue_bytes.set_function(lambda: self._queued_bytes)
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether the queue is below its bound."""
        return self._queued_bytes < self._max_queue_bytes

    def submit(self, submission: Submission) -> None:
        """Queue a batch. Raises Overloaded when the queue is full, Unavailable when the server is stopping."""
        with self._changed:
            if self._closing:
                raise Unavailable(detail="The server is stopping.")
            size = submission.size_bytes
            if self._queued_bytes and self._queued_bytes + size > self._max_queue_bytes:
                self._metrics.refused.labels("queue full").inc()
                raise Overloaded(queued=self._queued_bytes, bound=self._max_queue_bytes)
            self._queue.append(submission)
            self._queued_bytes += size
            if len(self._queue) >= self._wanted:
                self._changed.notify()

    def close(self, timeout_s: float = 8.0) -> None:
        """Take nothing more, commit what was taken, end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._wait_for_work()
                if not self._queue:
                    return
                group = self._take_group()
            started = time.perf_counter()
            outcomes = self._commit(group)
            self._metrics.commit_seconds.observe(time.perf_counter() - started)
            with self._changed:
                self._queued_bytes -= sum(s.size_bytes for s in group)
            _resolve_all(group, outcomes)

    def _wait_for_work(self) -> None:
        """Wait for a submission, and after a group for half as many, but no longer than 2 ms.

        The senders just answered are about to send again: a commit for the first one or two of them would make all
        the others wait for it.
        """
        while not self._queue and not self._closing:
            self._wanted = 1
            self._changed.wait()
        self._wanted = self._last_group // 2
        if len(self._queue) < self._wanted and not self._closing:
            self._changed.wait_for(lambda: len(self._queue) >= self._wanted or self._closing, GATHER_S)
        self._wanted = 1

    def _take_group(self) -> list[Submission]:
        """All that wait, to a bound; a second request with the same Idempotency-Key waits for the first's commit."""
        group: list[Submission] = []
        later: list[Submission] = []
        seen: set[tuple[str, str]] = set()
        size = 0
        while self._queue and size < MAX_GROUP_BYTES:
            submission = self._queue.popleft()
            if submission.keyed is not None:
                name = (submission.keyed.credential, submission.keyed.key)
                if name in seen:
                    later.append(submission)
                    continue
                seen.add(name)
            group.append(submission)
            size += submission.size_bytes
        self._queue.extendleft(reversed(later))
        self._last_group = len(group)
        return group

    def _commit(self, group: list[Submission]) -> dict[Submission, Outcome]:
        try:
            pieces = self._prepare(group)
            actors = {submission.actor for submission in group}
            actor = actors.pop() if len(actors) == 1 else SYSTEM
            outcomes = self._database.write(lambda tx: self._apply(tx, group, pieces), actor=actor)
        except Exception as error:  # noqa: BLE001  # every sender of the group must hear of it, and the next group go on
            self._metrics.refused.labels("commit failed").inc(len(group))
            log.error("commit_failed", requests=len(group), error=f"{type(error).__name__}: {error}")
            known = error if isinstance(error, TocsinError) else Unavailable(detail="The records could not be stored.")
            return dict.fromkeys(group, known)
        if self._parked is not None:
            first_id, last_id, reason = self._parked
            self._metrics.parked.inc()
            log.error("logs_parked", first_id=first_id, last_id=last_id, error=reason)
        stored = [s for s, outcome in outcomes.items() if isinstance(outcome, Stored)]
        accepted = sum(len(s.columns) for s in stored)
        self._metrics.accepted.inc(accepted)
        self._metrics.rejected.inc(sum(s.rejected for s in stored))
        self._metrics.commit_records.observe(accepted)
        return outcomes

    def _prepare(self, group: list[Submission]) -> list[_Piece]:
        """Number, pack and match, all before the write lock. A keyed request may turn out to be a repeat in the
        transaction, so it is packed by itself."""
        merged: dict[bool, list[Submission]] = {}
        pieces: list[_Piece] = []
        next_id = self._reserve(sum(len(s.columns) for s in group))
        for submission in group:
            if submission.keyed is None:
                merged.setdefault(submission.backfill, []).append(submission)
            else:
                pieces.append(_Piece([submission], next_id, len(submission.columns), submission.backfill))
                next_id += len(submission.columns)
        for backfill, together in merged.items():
            count = sum(len(s.columns) for s in together)
            pieces.append(_Piece(together, next_id, count, backfill))
            next_id += count
        for piece in pieces:
            self._pack(piece)
        return pieces

    def _pack(self, piece: _Piece) -> None:
        columns = Columns.joined([submission.columns for submission in piece.of])
        if columns.sources:
            piece.sources.update(columns.sources.values())
        first_id = piece.first_id
        for part in slices(columns):
            piece.chunks.append((first_id, piece.backfill, pack(part)))
            piece.parts.append((first_id, part))
            first_id += len(part)
        self._match(piece)

    def _match(self, piece: _Piece) -> None:
        piece.error = None
        try:
            piece.detected = [self._detection.find(part, first_id, piece.backfill) for first_id, part in piece.parts]
        except Exception as error:  # noqa: BLE001  # a bug in detection must not refuse logs: they are parked
            piece.detected, piece.error = [], error

    def _reserve(self, count: int) -> int:
        if self._next_id + count - 1 > self._last_reserved:
            block = max(count, ID_BLOCK)
            self._next_id = self._database.write(lambda tx: store.reserve_ids(tx, block), actor=SYSTEM)
            self._last_reserved = self._next_id + block - 1
        first, self._next_id = self._next_id, self._next_id + count
        return first

    def _apply(self, tx: Tx, group: list[Submission], pieces: list[_Piece]) -> dict[Submission, Outcome]:
        self._parked = None
        outcomes = _repeats(tx, group)
        live = [piece for piece in pieces if piece.of[0] not in outcomes]
        for piece in live:
            first = piece.first_id
            for submission in piece.of:
                count = len(submission.columns)
                stored = Stored(first, first + count - 1, tx.now) if count else Stored(None, None, tx.now)
                outcomes[submission] = stored
                first += count
                if submission.keyed is not None and submission.answer is not None:
                    idempotency.keep(tx, submission.keyed, submission.answer(stored))
        self._store(tx, [piece for piece in live if piece.count], rejected=sum(s.rejected for p in live for s in p.of))
        return outcomes

    def _store(self, tx: Tx, pieces: list[_Piece], *, rejected: int) -> None:
        if not pieces:
            return
        ruleset = self._detection.refresh(tx)
        for piece in pieces:
            if any(found.ruleset != ruleset for found in piece.detected):  # the rules changed since it was matched
                self._match(piece)
        stored = LogsStored(
            first_id=min(piece.first_id for piece in pieces),
            last_id=max(piece.first_id + piece.count - 1 for piece in pieces),
            accepted=sum(piece.count for piece in pieces),
            rejected=rejected,
            observed_at=tx.now,
            ruleset=ruleset,
            sources=few(sum((piece.sources for piece in pieces if piece.sources), Counter[str]())),
            matches=tuple(match for piece in pieces for found in piece.detected for match in found.matches),
            undecided=tuple(one for piece in pieces for found in piece.detected for one in found.undecided),
        )
        errors = [piece.error for piece in pieces if piece.error is not None]
        follows = bool(stored.matches or stored.undecided or errors)
        [recorded] = tx.emit(stored, follow=follows)
        placed = [chunk for piece in pieces for chunk in piece.chunks]
        store.insert_chunks(tx, placed, observed_at=tx.now, event_id=recorded.id)
        if not follows:
            return  # nothing follows from these records
        try:
            with tx.attempt():
                for error in errors:
                    raise error
        except Exception as error:
            if environment_fault(error):
                raise
            self._parked = (stored.first_id, stored.last_id, parking.describe(error))
            parking.park(tx, recorded.id, first_id=stored.first_id, last_id=stored.last_id, error=error)


def _resolve_all(group: Sequence[Submission], outcomes: Mapping[Submission, Outcome]) -> None:
    together: dict[object, list[Submission]] = {}
    for submission in group:
        together.setdefault(submission.via, []).append(submission)
    for submissions in together.values():
        via = submissions[0].via

        def tell(submissions: Sequence[Submission] = submissions) -> None:
            for submission in submissions:
                submission.resolve(outcomes[submission])

        if via is None:
            tell()
        else:
            with contextlib.suppress(
                RuntimeError
            ):  # the listener's loop has ended; the records are stored all the same
                via(tell)


def _repeats(tx: Tx, group: Sequence[Submission]) -> dict[Submission, Outcome]:
    """Requests of the group that were answered before, or that misuse their key. Keys are claimed in one order."""
    outcomes: dict[Submission, Outcome] = {}
    keyed = [(s.keyed, s) for s in group if s.keyed is not None]
    for request, submission in sorted(keyed, key=lambda pair: (pair[0].credential, pair[0].key)):
        try:
            earlier = idempotency.claim(tx, request)
        except IdempotencyMismatch as error:
            outcomes[submission] = error
            continue
        if earlier is not None:
            outcomes[submission] = earlier
    return outcomes
