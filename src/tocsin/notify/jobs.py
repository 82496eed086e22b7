"""What the database hands to whoever sends, and what comes back: a claimed message, and what came of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.notify.message import DeliveryFailed, Receipt
from tocsin.notify.rendering import TicketFacts, WantedFacts


@dataclass(frozen=True, slots=True)
class Job:
    """One try of one delivery. `lease` is ours; `probe`: the breaker is open, and this is to show how it is."""

    delivery_id: int
    lease: str
    n: int
    channel: str
    channel_kind: str
    method_id: int | None
    config: Mapping[str, Any]
    ticket: TicketFacts | None
    wanted: WantedFacts
    timeout_s: float
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a job: a receipt, a failure, or neither when it was interrupted."""

    job: Job
    took_ms: int
    receipt: Receipt | None = None
    failure: DeliveryFailed | None = None
    our_fault: bool = False  # it never got as far as the other side: that tells nothing of the channel
