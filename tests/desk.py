"""What stories are told with: a clock that is set by hand, and a desk that posts logs and looks at what follows."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import func, select, text

from tocsin import pipeline
from tocsin.alerts import absences, declaration_service, rule_service, silence_service
from tocsin.alerts import service as alert_service
from tocsin.alerts import store as alert_store
from tocsin.alerts.counting import PatternCounter
from tocsin.alerts.declaration_store import DeclaredRow
from tocsin.alerts.declarations import Declaration
from tocsin.alerts.model import verdicts
from tocsin.alerts.rule_service import RuleBook
from tocsin.alerts.rule_store import RuleRow
from tocsin.alerts.rules import Rule
from tocsin.alerts.service import RollUp
from tocsin.alerts.silence_checks import Draft
from tocsin.alerts.silence_ending import BreakWatch
from tocsin.alerts.silence_store import Hidden, SilenceRow
from tocsin.alerts.silencing import State
from tocsin.alerts.store import Alert, AlertQuery
from tocsin.alerts.suppression import has_no_ticket
from tocsin.kit.actors import Actor
from tocsin.kit.clock import EPOCH, MICROSECOND
from tocsin.kit.events import Detected
from tocsin.kit.metrics import Metrics
from tocsin.logs.compaction import Bounds, Compactor
from tocsin.logs.decode import Batch, decode
from tocsin.logs.intake import Detection, Intake, Outcome, Stored, Submission
from tocsin.logs.live import LiveTail
from tocsin.logs.record import Columns, Record
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import LogQuery, LogReader
from tocsin.main import make_courier
from tocsin.notify import channel_service, delivery_service
from tocsin.notify.callers import KEPT, Callers
from tocsin.notify.channel_service import Watched
from tocsin.notify.channel_store import ChannelRow
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.definitions import DEFINED, Definition
from tocsin.notify.delivery_service import DeliveryQuery
from tocsin.notify.delivery_store import Attempt, Delivery, Wish
from tocsin.notify.template_service import TemplateBook
from tocsin.notify.wanted import Wanted
from tocsin.proof.ledger import verify
from tocsin.proof.sealing import Sealer
from tocsin.settings import Settings
from tocsin.storage import parking
from tocsin.storage.database import Database, open_database
from tocsin.storage.idempotency import Answer, KeyedRequest
from tocsin.storage.model import events
from tocsin.storage.objects import Folder
from tocsin.storage.tx import ReadTx, Routes
from tocsin.tickets import comment_service
from tocsin.tickets import service as ticket_service
from tocsin.tickets.store import Ticket, TicketQuery
from tocsin.tickets.storming import DEFAULT_LIMITS, StormLimits
from tocsin.tickets.workflow import Status

START = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
ANA = Actor("local", "ana")
RUI = Actor("local", "rui")
PATIENCE_S = 60


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._guard = threading.Lock()

    def now(self) -> datetime:
        with self._guard:
            return self._now

    def advance(self, **by: float) -> None:
        """Move on by `seconds=`, `minutes=`, `days=`..."""
        with self._guard:
            self._now += timedelta(**by)


def critical(message: str = "database connection lost", service: str = "payments", **fields: Any) -> dict[str, Any]:
    """A record that alerts."""
    return {"level": "CRITICAL", "service": service, "message": message, **fields}


def error(message: str = "request failed", service: str = "payments", **fields: Any) -> dict[str, Any]:
    """A record that no rule asks for before there is one that does."""
    return {"level": "ERROR", "service": service, "message": message, **fields}


def info(message: str = "request served", service: str = "payments", **fields: Any) -> dict[str, Any]:
    """A record that does not."""
    return {"level": "INFO", "service": service, "message": message, **fields}


def decode_records(records: Sequence[Mapping[str, Any]], *, arrived: datetime) -> Batch:
    """The batch that POST /logs would make of these records."""
    body = b"\n".join(msgspec.json.encode(record) for record in records)
    return decode(body, lines=True, arrived=arrived)


class Astray:
    """Detection with a bug."""

    def refresh(self, tx: ReadTx) -> int:
        return 1

    def find(self, columns: Columns, first_id: int, backfill: bool) -> Detected:
        raise RecursionError("detection went astray")


class Desk:
    """A whole Tocsin without its web server and its background threads: the test says when loops run."""

    def __init__(
        self,
        settings: Settings,
        clock: FakeClock,
        *,
        routes: Routes | None = None,
        detection: Detection | None = None,
        limits: StormLimits = DEFAULT_LIMITS,
        cpu_ns: Callable[[], int] = time.thread_time_ns,
        callers: Callers = KEPT,
        **courier: Any,
    ) -> None:
        routes = routes or pipeline.routes(limits, callers)
        self.limits = limits
        self.callers = callers
        self.clock = clock
        self.metrics = Metrics()
        self.database: Database = open_database(settings.database_secret, settings.data_dir, clock=clock, routes=routes)
        self.book = RuleBook(self.database, cpu_ns=cpu_ns)
        self.intake = Intake(self.database, detection or self.book, metrics=self.metrics)
        self._roll_up = RollUp(self.database)
        self.objects = Folder(settings.segments_path)
        files = SegmentFiles(self.database, self.objects, metrics=self.metrics)
        counter = PatternCounter(self.database, self.metrics)
        self.compactor = Compactor(self.database, self.objects, files, self.metrics, alone=True, count=counter.count)
        self.reader = LogReader(self.database, files, clock, search_s=PATIENCE_S)
        self.tail = LiveTail(self.database)
        self.sealer = Sealer(self.database, self.reader, self.metrics)
        self.courier = make_courier(
            settings, self.database, self.metrics, self.reader, TemplateBook(self.metrics), **courier
        )

    def close(self) -> None:
        self.intake.close()
        self.courier.close()
        self.database.close()

    # What senders do.

    def post(self, *records: Mapping[str, Any], backfill: bool = False, actor: Actor = ANA) -> Stored:
        """Post a batch and wait for its answer; an error is raised, as a sender would hear it."""
        outcome = self.start_post(*records, backfill=backfill, actor=actor).result(PATIENCE_S)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Stored)
        return outcome

    def start_post(
        self,
        *records: Mapping[str, Any],
        backfill: bool = False,
        actor: Actor = ANA,
        keyed: KeyedRequest | None = None,
        answer: Callable[[Stored], Answer] | None = None,
    ) -> "Future[Outcome]":
        """Post a batch; the future holds its outcome once it is decided."""
        batch = decode_records(records, arrived=self.clock.now())
        assert not batch.rejected, batch.rejections
        done: Future[Outcome] = Future()
        self.intake.submit(
            Submission(
                columns=batch.columns,
                rejected=batch.rejected,
                backfill=backfill,
                size_bytes=100 * len(records),
                actor=actor,
                resolve=done.set_result,
                keyed=keyed,
                answer=answer,
            )
        )
        return done

    def compact(self, *, records: int = 65_536, age: timedelta = timedelta(0)) -> None:
        """Make segments of everything hot that is older than `age`, of at most so many records each."""
        self.compactor.bounds = Bounds(records=records, age=age)
        self.compactor.run()

    # What people do.

    def move(self, ticket_id: int, *statuses: str, actor: Actor = ANA, seen_version: int | None = None) -> Ticket:
        """Walk a ticket through these statuses."""
        for status in statuses:
            moved = self.database.write(
                lambda tx, status=status: ticket_service.change(
                    tx, ticket_id, status=Status(status), edits={}, seen_version=seen_version
                ),
                actor=actor,
            )
        return moved

    def resolve(self, ticket_id: int) -> Ticket:
        """Take an OPEN ticket all the way to RESOLVED."""
        return self.move(ticket_id, "IN_PROGRESS", "RESOLVED")

    def reopen(self, ticket_id: int, *, actor: Actor = ANA, reason: str = "it is back") -> Ticket:
        return self.database.write(
            lambda tx: ticket_service.reopen(tx, ticket_id, reason=reason, assignee=None), actor=actor
        )

    def save_rule(self, name: str = "errors", condition: str = "level:>=ERROR", **fields: Any) -> RuleRow:
        """Make a rule, or replace the one of that name."""
        rule = Rule(name=name, version=0, condition=condition, **fields)
        return self.database.write(lambda tx: rule_service.save(tx, rule)[0], actor=ANA)

    def silence(self, matcher: str = "service:payments", **fields: Any) -> SilenceRow:
        """Make a silence, of an hour unless it is said otherwise."""
        if not {"ends_at", "duration_s"} & fields.keys():
            fields["duration_s"] = 3600
        baseline_n = fields.pop("baseline_n", None)
        draft = Draft(matcher, fields.pop("owner", "ana"), fields.pop("reason", "we know"), **fields)
        return self.database.write(lambda tx: silence_service.create(tx, draft, baseline_n=baseline_n), actor=ANA)

    def end_silence(self, silence_id: int = 1) -> SilenceRow:
        return self.database.write(lambda tx: silence_service.end(tx, silence_id), actor=RUI)

    def remove_rule(self, name: str = "critical-logs") -> None:
        self.database.write(lambda tx: rule_service.remove(tx, name), actor=ANA)

    def declare(self, name: str, **fields: Any) -> tuple[DeclaredRow, bool]:
        """Declare a service, or replace what is declared of it."""
        depends_on = tuple(fields.pop("depends_on", ()))
        declaration = Declaration(name, depends_on=depends_on, **fields)
        return self.database.write(lambda tx: declaration_service.save(tx, declaration), actor=ANA)

    def save_channel(self, name: str = "hook", kind: str = "webhook", **fields: Any) -> ChannelRow:
        """Make or replace a channel; `config` is given by its fields that no channel has."""
        limits = {field: fields.pop(field) for field in [*fields] if field in DEFINED}
        definition = Definition(name, kind, config=fields, **{"is_default": True, **limits})
        return self.database.write(lambda tx: channel_service.save(tx, definition, CHANNELS)[0], actor=ANA)

    def comment(self, ticket_id: int, text: str) -> None:
        self.database.write(lambda tx: comment_service.add(tx, ticket_id, text), actor=ANA)

    def replay_dead(self, **wish: Any) -> tuple[int, bool]:
        return self.database.write(lambda tx: delivery_service.replay_dead(tx, Wish(**wish)), actor=ANA)

    def plan(self, *wanted: Wanted) -> list[int]:
        return self.database.write(lambda tx: delivery_service.plan(tx, wanted), actor=ANA)

    # What loops do.

    def run_due_timers(self) -> None:
        pipeline.run_due_timers(
            self.database,
            self.metrics,
            self.book,
            self.reader,
            intake=self.intake,
            limits=self.limits,
            callers=self.callers,
        )

    def idle(self, *, seconds: float, step_s: float = 20) -> None:
        """Let time pass while the server is up and nobody posts."""
        while seconds > 0:
            self.clock.advance(seconds=min(step_s, seconds))
            seconds -= step_s
            absences.note_presence(self.database)
            self.run_due_timers()

    def roll_up(self) -> None:
        self._roll_up.run()

    def deliver(self) -> None:
        """Send all that is due, until the last answer is written down."""
        answered = threading.Event()
        self.courier.on_answer = answered.set
        while True:
            answered.clear()
            self.courier.turn()
            if not self.courier.in_flight:
                return
            assert answered.wait(PATIENCE_S), "no answer came"

    def watch_silences(self) -> None:
        BreakWatch(self.database).run()

    # What there is to see.

    @property
    def tickets(self) -> list[Ticket]:
        """All tickets, oldest first."""
        query = TicketQuery(descending=False, limit=10_000)
        return ticket_service.find(self.database, query)[0]

    @property
    def ticket(self) -> Ticket:
        """The only ticket."""
        [found] = self.tickets
        return found

    @property
    def alerts(self) -> list[Alert]:
        """All alerts, oldest first."""
        return sorted(alert_service.find(self.database, AlertQuery(limit=10_000))[0], key=lambda alert: alert.id)

    @property
    def alert(self) -> Alert:
        """The only alert."""
        [found] = self.alerts
        return found

    @property
    def logs(self) -> list[Record]:
        """All records by id."""
        found = self.reader.search(LogQuery(limit=1_000_000)).items
        return sorted(found, key=lambda record: record.id)

    @property
    def parked(self) -> int:
        return self.database.read(parking.count)

    def events(self, subject: str | None = None, kind: str | None = None) -> list[Any]:
        """Rows of the event list, oldest first."""
        statement = select(events).order_by(events.c.id)
        if subject is not None:
            statement = statement.where(events.c.subject == subject)
        if kind is not None:
            statement = statement.where(events.c.kind == kind)
        return self.database.read(lambda tx: list(tx.execute(statement)))

    def kinds(self, subject: str) -> list[str]:
        """The kinds of a subject's events, oldest first."""
        return [event.kind for event in self.events(subject)]

    def rule(self, name: str = "errors") -> RuleRow:
        return self.database.read(lambda tx: rule_service.get(tx, name))

    def verdicts(self, rule: str | None = None) -> dict[str, int]:
        """Records by verdict."""
        statement = select(verdicts.c.verdict, func.sum(verdicts.c.n)).group_by(verdicts.c.verdict)
        if rule is not None:
            statement = statement.where(verdicts.c.rule == rule)
        return {row[0]: int(row[1]) for row in self.database.read(lambda tx: list(tx.execute(statement)))}

    def would(self, rule: str) -> dict[str, int]:
        """What a rule in a dry run would have done with so many records."""
        mine = (verdicts.c.rule == rule) & (verdicts.c.verdict == "dry_run")
        statement = select(verdicts.c.would, func.sum(verdicts.c.n)).where(mine).group_by(verdicts.c.would)
        return {row[0]: int(row[1]) for row in self.database.read(lambda tx: list(tx.execute(statement)))}

    @property
    def late(self) -> int:
        """Records that were late for their window."""
        return int(self.database.read(lambda tx: tx.execute(select(func.sum(verdicts.c.late))).scalar_one()) or 0)

    def hidden(self, silence_id: int = 1) -> Hidden:
        return self.database.read(lambda tx: silence_service.hidden(tx, silence_id))

    def silences(self, state: State | None = None) -> list[tuple[SilenceRow, Hidden]]:
        """Silences, newest first, with what they hide."""
        return silence_service.find(self.database, state=state, cursor=None, limit=1000)[0]

    def suppressed_by(self) -> dict[str, int]:
        """Records by what kept them from people."""
        by = verdicts.c.suppressed_by
        statement = select(by, func.sum(verdicts.c.n)).where(by.is_not(None)).group_by(by)
        return {row[0]: int(row[1]) for row in self.database.read(lambda tx: list(tx.execute(statement)))}

    def deliveries(self, channel: str | None = None) -> list[Delivery]:
        """Deliveries, oldest first."""
        query = DeliveryQuery(Wish(channel=channel), limit=100_000)
        return delivery_service.find(self.database, query)[0][::-1]

    def attempts(self, delivery_id: int) -> list[Attempt]:
        return self.database.read(lambda tx: delivery_service.show(tx, delivery_id)[1])

    @property
    def sent(self) -> float:
        """Messages to `hook` that this worker saw taken."""
        return self.metrics.registry.get_sample_value("tocsin_deliveries_sent_total", {"channel": "hook"}) or 0.0

    def watched(self, channel: str = "hook") -> Watched:
        return self.database.read(lambda tx: channel_service.watched(tx, channel))

    def alerts_of(self, ticket_id: int) -> list[Alert]:
        return self.database.read(lambda tx: alert_store.of_tickets(tx, ticket_id, limit=1000))

    def check_books(self) -> None:
        """Promises 3 and 7, whatever happened: nothing doubled, every matched record with exactly one verdict."""
        for name, values in (
            ("open alerts of one fingerprint", [a.fingerprint for a in self.alerts if a.ended_at is None]),
            ("open tickets of one key", [a.correlation_key for a in self._first_alerts_of_open_tickets()]),
        ):
            doubled = sorted({value for value in values if values.count(value) > 1})
            assert not doubled, f"several {name}: {doubled}"
        silenced = {a.id for a in self.alerts if has_no_ticket(a.suppressed_by)}
        assert all(a.ticket_id for a in self.alerts if a.id not in silenced), "an alert without a ticket"
        ids = [record.id for record in self.logs]
        assert len(ids) == len(set(ids)), "a record is kept twice"
        matched = sum(record.level == "CRITICAL" for record in self.logs)
        assert sum(self.verdicts().values()) == matched, "records and verdicts don't balance"
        self.check_ledger()
        live = sum(record.level == "CRITICAL" and not record.backfill for record in self.logs)
        assert sum(alert.count for alert in self.alerts) == live, "records and counts don't balance"

    def check_ledger(self) -> None:
        """Every matched record has exactly one verdict per rule."""
        found = verify(self.database, self.reader, EPOCH, self.clock.now() + MICROSECOND)
        assert found.balanced, found.gaps

    def _first_alerts_of_open_tickets(self) -> list[Alert]:
        unresolved = {t.id for t in self.tickets if t.status in (Status.OPEN, Status.IN_PROGRESS)}
        by_ticket = itertools.groupby(sorted(self.alerts, key=_ticket_of), key=_ticket_of)
        return [next(group) for ticket_id, group in by_ticket if ticket_id in unresolved]


def _ticket_of(alert: Alert) -> int:
    return alert.ticket_id or 0


def waiting_for_locks(database: Database) -> int:
    """PostgreSQL: how many transactions wait for another one."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return database.read(lambda tx: int(tx.execute(waiting).scalar_one()))


def wait_until(condition: Callable[[], Any]) -> None:
    """Until the condition holds; fails when it does not in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.002)


def in_threads(*works: Callable[[], Any]) -> list[Any]:
    """Run all at once, each in a thread that starts when all are there; what they return, or the error they raise."""
    results: list[Any] = [None] * len(works)
    together = threading.Barrier(len(works))

    def run(place: int, work: Callable[[], Any]) -> None:
        together.wait(PATIENCE_S)
        try:
            results[place] = work()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "a thread did not end"
    return results
