"""A delivery that is asked for: to whom, about what, why. Pure.

Routes, escalations and people's own rules ask; `delivery_service.plan` writes the rows in the transaction of the event
that all this follows from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tocsin.notify.message import Kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """`key` is unique for ever: asking for the same again writes nothing. Exactly one of `channel` (its name) and
    `method_id` (a person's contact method) is given; `otherwise` are further methods of that person to try, in order,
    when this one can't be reached. `why` is shown to people (`{"route": "pay", "step": 2}`). Nothing is sent before
    `due_at`, and nothing if the ticket was acknowledged by then where `unless_acknowledged` is said. Updates that may
    wait are bundled within their channel's window; `urgent` ones never wait.
    """

    key: str
    kind: Kind
    event_id: int | None
    ticket_id: int | None
    channel: str | None = None
    method_id: int | None = None
    person: str | None = None
    otherwise: tuple[int, ...] = ()
    due_at: datetime | None = None
    unless_acknowledged: bool = False
    urgent: bool = False
    why: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)  # what a template may say besides the ticket's own
