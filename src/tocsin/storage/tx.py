"""The transaction: a connection, one instant, one actor, and `emit`. The edge opens it; nobody else commits."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, insert
from sqlalchemy.sql.elements import ColumnElement

from tocsin.kit.actors import SYSTEM, Actor
from tocsin.kit.events import Event, Recorded
from tocsin.storage.model import events

_Kind = TypeVar("_Kind", bound=Event)
Handler = Callable[["Tx", Sequence[Recorded[Any]]], None]
Routes = Mapping[type[Event], Sequence[Handler]]


@lru_cache(maxsize=8)
def _insert_events(position: ColumnElement[int]) -> tuple[Executable, Executable]:
    """The statements for one event and for several, made once: making them costs as much as running them."""
    statement = insert(events).values(position=position)
    return statement, statement.returning(events.c.id, sort_by_parameter_order=True)


class ReadTx:
    """A consistent look at the database. `now` is the instant it began."""

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self.connection = connection
        self.now = now

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.connection.dialect.name

    def execute(
        self, statement: Executable, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        return self.connection.execute(statement, rows)


class Tx(ReadTx):
    """A unit of work: what it writes and the events it emits become true together, or not at all."""

    def __init__(
        self, connection: Connection, *, now: datetime, actor: Actor, routes: Routes, position: ColumnElement[int]
    ) -> None:
        super().__init__(connection, now=now)
        self.actor = actor
        self.wakes: set[str] = set()
        self._routes = routes
        self._position = position
        self._cause_id: int | None = None
        self._handling = False
        self._depth = 0
        self._waiting: deque[Recorded[Any]] = deque()

    @property
    def position(self) -> ColumnElement[int]:
        """The expression for this commit's place in the order that feeds are read in (see `Dialect.horizon`)."""
        return self._position

    def emit(
        self,
        *new: Event,
        causes: Sequence[int | None] | None = None,
        actor: Actor | None = None,
        follow: bool = True,
        at: Sequence[datetime] | None = None,
    ) -> list[Recorded[Any]]:
        """Write events; the stages that `pipeline.ROUTES` names for them run in this transaction, at `settle`.

        What handlers emit has the actor `system`; its cause leads to whoever did the first thing. `causes` gives each
        event the id of the event it follows from; without it, that of the handler's batch. `follow=False` is for
        events from which nothing can follow: they are written, and no stage is called. `at` says of each when it
        became true, where that was not now.
        """
        if not new:
            return []
        by = SYSTEM if self._handling else self.actor
        shared = {"recorded_at": self.now, "actor": str(actor or by)}
        instants = at or [self.now] * len(new)
        rows = [
            {
                "at": since,
                "kind": event.kind,
                "subject": event.subject,
                "data": event.data(),
                "cause_id": cause,
                **shared,
            }
            for event, cause, since in zip(new, causes or [self._cause_id] * len(new), instants, strict=True)
        ]
        one, many = _insert_events(self._position)
        if len(rows) == 1:
            key = self.execute(one, rows[0]).inserted_primary_key
            ids: Sequence[int] = [] if key is None else [key[0]]
        else:
            ids = self.execute(many, rows).scalars().all()
        recorded = [Recorded(*one) for one in zip(ids, instants, new, strict=True)]
        if follow:
            self._waiting.extend(recorded)
        return recorded

    def settle(self) -> None:
        """Run the handlers of all events emitted so far, and of those they emit, in order; alike ones together."""
        while self._waiting:
            # Without those that nothing follows from: they would part what can be handled together.
            turn = [one for one in self._waiting if type(one.event) in self._routes]
            self._waiting.clear()
            for kind, batch in groupby(turn, key=lambda r: type(r.event)):
                self._hand_on(kind, list(batch))

    def _hand_on(self, kind: type[Event], batch: list[Recorded[Any]]) -> None:
        for handler in self._routes.get(kind, ()):
            self._cause_id, self._handling = batch[0].id, True
            try:
                handler(self, batch)
            finally:
                self._cause_id, self._handling = None, False

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """A savepoint that ends with `settle`. When anything inside raises, nothing of it remains, and
        nothing waits: also not what waited before, which is for `settle` to handle first where it must not be lost."""
        wakes = set(self.wakes)
        self._depth += 1
        name = f"attempt_{self._depth}"
        # As plain text: SQLAlchemy compiles its own savepoint statements anew each time, 0.1 ms in every commit.
        self.connection.exec_driver_sql(f"SAVEPOINT {name}")
        try:
            yield
            self.settle()
        except BaseException:
            self._waiting.clear()
            self.wakes = wakes
            self.connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {name}")
            raise
        finally:
            self._depth -= 1
        self.connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A savepoint within a handler. When anything inside raises, what it wrote and emitted is gone; what waited
        before waits still."""
        wakes, waiting = set(self.wakes), len(self._waiting)
        self._depth += 1
        name = f"aside_{self._depth}"
        self.connection.exec_driver_sql(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            while len(self._waiting) > waiting:
                self._waiting.pop()
            self.wakes = wakes
            self.connection.exec_driver_sql(f"ROLLBACK TO SAVEPOINT {name}")
            raise
        finally:
            self._depth -= 1
        self.connection.exec_driver_sql(f"RELEASE SAVEPOINT {name}")

    def waits(self, kind: type[_Kind], subject: str) -> list[_Kind]:
        """The events of a kind about something that this transaction has emitted, and that were not handled yet."""
        return [one.event for one in self._waiting if isinstance(one.event, kind) and one.event.subject == subject]

    def replay(self, recorded: Recorded[Any]) -> None:
        """Let an event that is already written wait for `settle` again."""
        self._waiting.append(recorded)
