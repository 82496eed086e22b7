"""What a delivery says, written when it is sent: from its ticket as it is then, by its channel's template."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tocsin.kit.errors import NotFound
from tocsin.logs.service import LogReader
from tocsin.notify import link_store, picture_service, template_store
from tocsin.notify.composing import compose
from tocsin.notify.links import actions_of
from tocsin.notify.message import Action, Kind, Message
from tocsin.notify.picture import Occasion, Picture, values_of
from tocsin.notify.rendering import EventFacts, TicketFacts, WantedFacts, payload
from tocsin.notify.template_service import TemplateBook
from tocsin.notify.template_store import TemplateRow
from tocsin.oncall import people_store
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx
from tocsin.tickets.telling import told

_WITHOUT_ACTIONS: Final = frozenset({Kind.TEST, Kind.CODE, Kind.NOTICE})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at the database found for a message."""

    picture: Picture | None
    template: TemplateRow | None
    key: bytes | None
    zone: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes messages in whichever thread calls it; it reads, and changes nothing.

    `base_url` is where people find this server: without it no message has links.
    """

    database: Database
    logs: LogReader
    book: TemplateBook
    base_url: str | None

    def __call__(self, ticket: TicketFacts | None, wanted: WantedFacts) -> Message:
        """The message of a delivery. A template that fails loses no message: the default one says it."""
        if wanted.kind is Kind.CODE:
            wanted = self.database.read(lambda tx: _with_code(tx, wanted))
        seen = self.database.read(lambda tx: _look(tx, ticket, wanted))
        picture = None if seen.picture is None else picture_service.with_record(seen.picture, self.logs)
        occasion = _occasion(wanted, self._actions(ticket, picture, wanted, seen.key), seen.zone)
        now = self.database.clock.now()
        said = self.book.say(
            seen.template, wanted.template, wanted.kind, values_of(wanted.kind, picture, occasion, now=now)
        )
        message = compose(
            said,
            wanted.kind,
            picture,
            occasion,
            message_id=wanted.message_id,
            first_of_thread=wanted.first_of_thread,
            earlier=wanted.earlier,
        )
        if message.payload is not None:
            return message
        body = payload(ticket, wanted, title=message.title, text=message.text, url=message.url)
        return replace(message, payload=body)

    def _actions(
        self, ticket: TicketFacts | None, picture: Picture | None, wanted: WantedFacts, key: bytes | None
    ) -> tuple[Action, ...]:
        if ticket is None or picture is None or key is None or wanted.kind in _WITHOUT_ACTIONS:
            return ()
        return actions_of(
            ticket.id,
            picture.ticket["status"],
            person=wanted.person,
            message_id=wanted.message_id,
            key=key,
            base_url=self.base_url,
            now=picture.now,
        )


def _with_code(tx: ReadTx, wanted: WantedFacts) -> WantedFacts:
    """A code stands in the clear nowhere but where it waits to be sent. Raises LookupError when it waits no more."""
    method_id = wanted.facts.get("method_id")
    code = people_store.code_to_send(tx, method_id) if isinstance(method_id, int) else None
    if code is None:
        raise LookupError("the code has expired, or was sent")
    return replace(wanted, facts={"code": code})


def _look(tx: ReadTx, ticket: TicketFacts | None, wanted: WantedFacts) -> _Seen:
    person = None if wanted.person is None else people_store.user(tx, wanted.person)
    keys = link_store.keys(tx)
    return _Seen(
        picture=None if ticket is None else _picture(tx, ticket.id),
        template=None if wanted.template is None else template_store.get(tx, wanted.template),
        key=keys[0] if keys else None,
        zone="UTC" if person is None else person.time_zone,
    )


def _picture(tx: ReadTx, ticket_id: int) -> Picture | None:
    try:
        return picture_service.take(tx, ticket_id)
    except NotFound:
        return None


def _occasion(wanted: WantedFacts, actions: tuple[Action, ...], zone: str) -> Occasion:
    event = wanted.event
    way = None if event is None else event.data.get("way")
    return Occasion(
        person=wanted.person,
        by=None if event is None else event.actor.partition(":")[2] or event.actor,
        way=way if isinstance(way, str) else None,
        why=wanted.why,
        facts=wanted.facts,
        changes=[] if event is None else [_change(event)],
        bundled=wanted.bundled,
        actions=actions,
        zone=zone,
    )


def _change(event: EventFacts) -> Mapping[str, Any]:
    return {"at": event.at, "by": event.actor.partition(":")[2] or event.actor, "what": told(event.kind, event.data)}
