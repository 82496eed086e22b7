"""What the routes work with, made once by `main` and handed to the application."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response

from tocsin.access.policy import AccessPolicy
from tocsin.kit.actors import Actor
from tocsin.kit.clock import Clock
from tocsin.kit.errors import Forbidden, Unauthenticated, Unavailable
from tocsin.kit.metrics import Metrics
from tocsin.logs.intake import Intake
from tocsin.logs.live import LiveTail
from tocsin.logs.service import LogReader
from tocsin.notify.callers import Callers
from tocsin.notify.channels.channel import Outside
from tocsin.notify.template_service import TemplateBook
from tocsin.storage import idempotency
from tocsin.storage.database import Database
from tocsin.storage.idempotency import Answer, KeyedRequest
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.storming import StormLimits

KEPT_HEADERS = ("content-type", "etag", "location")
CHECKED_FOR_S: Final = 0.5
CHECK_WAIT_S: Final = 1.0


class WriteCheck:
    """Whether the database takes writes, found out by one at a time and kept for `CHECKED_FOR_S`: anybody may ask."""

    def __init__(self, database: Database, *, keep_s: float = CHECKED_FOR_S) -> None:
        self._database = database
        self._keep_s = keep_s
        self._checking = threading.Lock()
        self._checked_at = float("-inf")
        self._found: str | None = None

    def check(self) -> None:
        """Raises Unavailable."""
        if time.monotonic() - self._checked_at > self._keep_s:
            self._check_again()
        if self._found is not None:
            raise Unavailable(detail=self._found)

    def _check_again(self) -> None:
        if not self._checking.acquire(timeout=CHECK_WAIT_S):
            raise Unavailable(detail="The database can't do this now.")
        try:
            if time.monotonic() - self._checked_at <= self._keep_s:
                return  # whoever was before us has found out
            try:
                self._database.check_writable()
            except Unavailable as error:
                self._found = str(error)
            else:
                self._found = None
            self._checked_at = time.monotonic()
        finally:
            self._checking.release()


@dataclass(frozen=True, slots=True)
class Answering:
    """How people answer from outside: where links lead, what Slack signs with, who somebody of a chat is (`slack`, the
    id there -> the person; without it, the name that the chat says), and the way out to the chat."""

    public_url: str | None = None
    slack_secret: str | None = None
    person_of: Callable[[ReadTx, str, str], str | None] | None = None
    outside: Outside | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """The open database, the committer, what reads logs, the clock, the counters, who may come in, how many new
    tickets are a storm, who is on call, what messages say, and how they are answered."""

    database: Database
    intake: Intake
    logs: LogReader
    tail: LiveTail
    clock: Clock
    metrics: Metrics
    policy: AccessPolicy
    writable: WriteCheck
    storms: StormLimits
    callers: Callers
    wording: TemplateBook
    answering: Answering = Answering()


def services(request: Request) -> Services:
    """The services of the application that serves this request."""
    found: Services = request.app.state.services
    return found


def admitted(request: Request) -> bool:
    """Whether the sender of a request to an open path would be let in to the others."""
    try:
        services(request).policy.admit(request.client.host if request.client else None, request.headers.raw)
    except (Unauthenticated, Forbidden):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a request that changes something is worked on: who asks, and under which Idempotency-Key."""

    services: Services
    actor: Actor
    keyed: KeyedRequest | None

    def write(self, work: Callable[[Tx], Response]) -> Response:
        """Run `work` in one transaction; its answer leaves after the commit.

        With an Idempotency-Key the answer is kept in the same transaction; a repeat gets it without new work.
        """
        return self.services.database.write(lambda tx: self._once(tx, work), actor=self.actor)

    def _once(self, tx: Tx, work: Callable[[Tx], Response]) -> Response:
        if self.keyed is None:
            return work(tx)
        earlier = idempotency.claim(tx, self.keyed)
        if earlier is not None:
            return Response(earlier.body, earlier.status, {**earlier.headers, "Idempotency-Replayed": "true"})
        response = work(tx)
        headers = {name: value for name, value in response.headers.items() if name in KEPT_HEADERS}
        idempotency.keep(tx, self.keyed, Answer(response.status_code, headers, bytes(response.body)))
        return response


async def desk(request: Request) -> Desk:
    """A dependency: the desk of this request. Raises Invalid for a bad Idempotency-Key."""
    actor: Actor = request.state.actor
    key = request.headers.get("idempotency-key")
    keyed = None
    if key is not None and request.method == "POST":
        url = request.url
        keyed = idempotency.keyed_request(
            actor.credential, key, b"POST", url.path.encode(), url.query.encode(), await request.body()
        )
    return Desk(services(request), actor, keyed)
