"""What a delivery says, before a channel gives it that channel's form; what came of sending it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a message is about."""

    OPENED = "opened"
    REOPENED = "reopened"
    ACKNOWLEDGED = "acknowledged"
    UPDATED = "updated"  # comments, priority, assignee, holds: what is bundled
    RESOLVED = "resolved"
    CLOSED = "closed"
    PAGE = "page"  # somebody is called: an escalation step, or by hand
    SLA = "sla"  # at risk or breached
    NOTICE = "notice"  # about Tocsin itself: a gap in a schedule, a channel that was disabled, a drill that was missed
    CODE = "code"  # a code that verifies a contact method
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Action:
    """Something that the reader may do from the message. `url` leads to a page with a button; nothing acts on GET."""

    name: str  # `acknowledge`, `resolve`, `open`
    label: str
    url: str
    token: str = ""  # what a button of a chat sends back


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery, worked out from its template.

    `id` is stable: a repeat of the same delivery has the same one, so that a receiver can drop it. `thread` is the
    same for all messages of a ticket (`ticket-7`): one conversation. `earlier` is what the channel said of the last
    message of this thread (`Receipt.reference`), so that it can be updated in place. `bundled` counts the updates that
    this message stands for. `payload` is what a webhook sends: JSON values only.
    """

    id: str
    kind: Kind
    title: str
    text: str
    html: str
    thread: str
    first_of_thread: bool
    ticket_id: int | None = None
    priority: str | None = None
    status: str | None = None
    service: str | None = None
    url: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    actions: tuple[Action, ...] = ()
    earlier: str | None = None
    bundled: int = 1
    payload: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the other side answered: a short text for people, and how it calls the message, to update it later."""

    answer: str
    reference: str | None = None


class DeliveryFailed(Exception):
    """A message was not taken. `permanent`: trying again makes no sense. `gone`: the other side wants no more (410).

    `detail` is shown to people: no secret may stand in it. Whether a message was taken may be unknown (a connection
    lost while the answer was awaited): then it is tried again, with the same id.
    """

    def __init__(
        self, detail: str, *, permanent: bool = False, gone: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent or gone
        self.gone = gone
        self.retry_after_s = retry_after_s
