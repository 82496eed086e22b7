"""The loop that sends: claims what is due, hands it to an event loop in its own thread, writes down what came of it.

All of the database's work is one transaction a turn, in the thread of the loop `deliveries`; nothing is sent inside it.
The other side can only delay the messages that are for it: at most so many of a channel are on their way at once.
"""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from sqlalchemy.exc import DBAPIError

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Unavailable
from tocsin.kit.metrics import Metrics
from tocsin.notify import sending_store as store
from tocsin.notify.channels.channel import Channel, Outside
from tocsin.notify.claiming import Claimed, Claiming
from tocsin.notify.delivery_store import WAKE
from tocsin.notify.jobs import Answer, Job
from tocsin.notify.message import DeliveryFailed, Receipt
from tocsin.notify.recording import record
from tocsin.notify.rendering import Renderer
from tocsin.notify.threads import Threads
from tocsin.storage.database import Database
from tocsin.storage.dialects import environment_fault
from tocsin.storage.tx import Tx

MOST_IN_FLIGHT: Final = 256
CLAIMS_A_TURN: Final = 6  # a turn of the write lock is short: who posts logs waits for it
ANSWERS_A_TURN: Final = 12
# A channel that takes nothing now (all it may have is on its way, its breaker is open, its limit is reached) is asked
# again after this, or when it answers.
RESTS_S: Final = 1.0
# Writing may take this and what sending leaves of its time: the lease lasts longer (`claiming.LEASE_SLACK_S`).
WRITTEN_WITHIN_S: Final = 5.0
_WRITERS: Final = 4
CLOSE_WITHIN_S: Final = 1.5
_INTERRUPT_WITHIN_S: Final = 0.5

log = structlog.get_logger("tocsin.notify")


class WayOut(Outside, Protocol):
    """What is opened in the thread of the event loop, and closed there."""

    async def close(self) -> None: ...


class Courier:
    """One per process; any number of processes share a database. `on_answer` is called when there is something to write
    down, from another thread: it should wake the loop."""

    def __init__(
        self,
        database: Database,
        claiming: Claiming,
        *,
        outside: WayOut,
        render: Renderer,
        metrics: Metrics,
        most: int = MOST_IN_FLIGHT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.on_answer: Callable[[], None] = lambda: None
        self._database = database
        self._claiming = claiming
        self._sender = _Sender(claiming.channels, outside, render, self._answered)
        self._metrics = metrics
        self._most = most
        self._chance = chance
        self._answers: deque[Answer] = deque()
        self._rests: dict[str | None, datetime] = {}
        self._next = ""
        self._stopping = False
        self._again = False

    @property
    def in_flight(self) -> int:
        """Messages whose answer is not written down yet."""
        return self._sender.in_flight + len(self._answers)

    def take_over(self) -> None:
        """Nobody else works on this database: what an earlier process had claimed is due now."""
        self._database.write(store.end_leases, actor=SYSTEM)

    def turn(self) -> None:
        """Write down what came, claim what is due, start to send it. Raises Unavailable; what came is kept then."""
        while True:
            answers = self._take_answers()
            channels = self._worth_asking(answers)
            if not answers and not channels:
                return
            self._again = False
            try:
                jobs = self._database.write(lambda tx: self._exchange(tx, answers, channels), actor=SYSTEM)  # noqa: B023
            except Unavailable:
                self._answers.extendleft(reversed(answers))
                raise
            except Exception as error:  # noqa: BLE001  # one bad answer must not hold up the others
                self._record_each(answers, error)
                jobs = []
            self._count(answers)
            for job in jobs:
                self._sender.start(job)
            if not (answers or jobs or self._again):
                return

    def close(self, within_s: float = CLOSE_WITHIN_S) -> None:
        """Claim nothing more; give what is on its way a moment; what has no answer by then is due at once, for whoever
        comes next. Raises nothing: the leases lapse in any case."""
        self._stopping = True
        self._sender.stop(max(within_s - _INTERRUPT_WITHIN_S, 0.0), _INTERRUPT_WITHIN_S)
        try:
            while self._answers:
                answers = self._take_answers()
                self._database.write(lambda tx: self._record(tx, answers), actor=SYSTEM)  # noqa: B023
                self._count(answers)
        except Exception as error:  # noqa: BLE001  # the process ends; leases tell the rest
            log.error("answers_not_kept", answers=len(self._answers), error=f"{type(error).__name__}: {error}")

    def _answered(self, answer: Answer) -> None:
        self._answers.append(answer)
        self.on_answer()

    def _take_answers(self) -> list[Answer]:
        n = min(len(self._answers), ANSWERS_A_TURN)
        return [self._answers.popleft() for _ in range(n)]

    def _worth_asking(self, answers: Sequence[Answer]) -> list[str | None]:
        """Channels with something due that may have room; those that answered have."""
        for answer in answers:
            self._rests.pop(answer.job.channel, None)
        if self._stopping or self._sender.in_flight >= self._most:
            return []
        now = self._database.clock.now()
        due = self._database.read(store.due_channels)
        longest = now + timedelta(seconds=RESTS_S)  # a clock that was set back lets nothing rest for hours
        self._rests = {name: until for name, until in self._rests.items() if now < until <= longest}
        return [name for name in due if name not in self._rests]

    def _exchange(self, tx: Tx, answers: Sequence[Answer], channels: Sequence[str | None]) -> list[Job]:
        self._record(tx, answers)
        tx.settle()  # what follows from answers must not go with a claim that raises
        jobs: list[Job] = []
        names = {name for name in channels if name is not None}
        if None in channels:
            names |= self._claiming.place(tx)
        room = min(CLAIMS_A_TURN, self._most - self._sender.in_flight)
        for channel in self._in_turn(names):
            if len(jobs) >= room:
                self._next = channel
                break
            claimed = self._claim(tx, channel, room - len(jobs))
            jobs += claimed.jobs
            self._again |= claimed.more
            if claimed.shut:
                self._rests[channel] = tx.now + timedelta(seconds=RESTS_S)
        self._again |= WAKE in tx.wakes  # something went another way
        return jobs

    def _in_turn(self, names: Collection[str]) -> list[str]:
        """Those first that there was no room for the last time: nobody waits for as long as others have work. (Who
        claims waits for no channel, so that any order is good.)"""
        return sorted(names, key=lambda name: (name < self._next, name))

    def _claim(self, tx: Tx, channel: str, room: int) -> Claimed:
        try:
            with tx.attempt():
                return self._claiming.claim(tx, channel, room)
        except Unavailable:
            raise
        except Exception as error:
            if isinstance(error, DBAPIError) and (environment_fault(error) or self._database.dialect.retryable(error)):
                raise
            self._fault(channel, error)
            return Claimed(shut=True)

    def _record(self, tx: Tx, answers: Sequence[Answer]) -> None:
        if answers:
            record(tx, answers, patience=self._claiming.patience, chances=[self._chance() for _ in answers])

    def _record_each(self, answers: Sequence[Answer], error: Exception) -> None:
        """One by one, to find the one that can't be written down; its lease lapses."""
        self._fault("all", error)
        for answer in answers:
            try:
                self._database.write(lambda tx, one=answer: self._record(tx, [one]), actor=SYSTEM)  # type: ignore[misc]
            except Unavailable:
                raise
            except Exception as fault:  # noqa: BLE001
                self._fault(answer.job.channel, fault)

    def _fault(self, channel: str, error: Exception) -> None:
        self._metrics.loop_errors.labels("deliveries").inc()
        log.error("deliveries_failed", channel=channel, error=f"{type(error).__name__}: {error}")

    def _count(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            counter = self._metrics.deliveries_failed if answer.receipt is None else self._metrics.deliveries_sent
            counter.labels(answer.job.channel).inc()


class _Sender:
    """The event loop in a thread of its own: knows jobs and answers, no database."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        outside: WayOut,
        render: Renderer,
        answered: Callable[[Answer], None],
    ) -> None:
        self._channels = channels
        self._outside = outside
        self._render = render
        self._writers = Threads("render", most=_WRITERS)
        self._answered = answered
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = threading.Condition()
        self.in_flight = 0

    def start(self, job: Job) -> None:
        """Send it, in the other thread."""
        with self._changed:
            self.in_flight += 1
        self._running().call_soon_threadsafe(self._begin, job)

    def stop(self, moment_s: float, interrupt_s: float) -> None:
        """Wait a moment for what is on its way, interrupt the rest, end the thread."""
        if self._loop is None or self._thread is None or self._loop.is_closed():
            return
        with self._changed:
            self._changed.wait_for(lambda: self.in_flight == 0, moment_s)
        self._loop.call_soon_threadsafe(self._interrupt)
        with self._changed:
            self._changed.wait_for(lambda: self.in_flight == 0, interrupt_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(interrupt_s)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, args=(self._loop,), name="sender", daemon=True)
            self._thread.start()
        return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        self._writers.close()
        loop.run_until_complete(self._outside.close())
        loop.close()

    def _begin(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(self._send(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _interrupt(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _send(self, job: Job) -> None:
        began = time.monotonic()
        found: dict[str, Any] = {}
        try:
            found["receipt"] = await self._try(job)
        except DeliveryFailed as failure:
            found = {"failure": failure, "our_fault": isinstance(failure, _OurFault)}
        except asyncio.CancelledError:
            pass  # told to stop: neither receipt nor failure
        self._answered(Answer(job, int((time.monotonic() - began) * 1000), **found))
        with self._changed:
            self.in_flight -= 1
            self._changed.notify_all()
        if found.get("our_fault"):  # told last: a log that can't be written to keeps no answer back
            log.error("not_sent", delivery=job.delivery_id, channel=job.channel, error=str(found["failure"]))

    async def _try(self, job: Job) -> Receipt:
        channel = self._channels.get(job.channel_kind)
        if channel is None:
            raise _OurFault(f"this program knows no channel of kind {job.channel_kind}")
        until = asyncio.get_running_loop().time() + job.timeout_s + WRITTEN_WITHIN_S
        try:
            async with asyncio.timeout_at(until):
                message = await self._writers.start(lambda: self._render(job.ticket, job.wanted))
        except TimeoutError:
            raise _OurFault("the message could not be written in time") from None
        except Exception as error:  # whatever a template does, the others are sent
            raise _OurFault(f"the message could not be written: {type(error).__name__}: {error}") from error
        try:
            async with asyncio.timeout_at(until), asyncio.timeout(job.timeout_s):
                return await channel.send(job.config, message, self._outside)
        except (DeliveryFailed, asyncio.CancelledError):
            raise
        except TimeoutError:
            raise DeliveryFailed(f"no answer within {job.timeout_s:g} s") from None
        except Exception as error:  # its text may hold a secret of the channel
            raise _OurFault(f"a fault in sending: {type(error).__name__}") from error


class _OurFault(DeliveryFailed):
    """A fault on our side: it is tried again, and the channel is not blamed."""
