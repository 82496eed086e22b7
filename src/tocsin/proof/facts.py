"""What was written down at the time, as it is read back to explain it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Commit:
    """The transaction that stored records; `ruleset` is the state of the rules that they were matched with."""

    event_id: int
    at: datetime
    first_log_id: int
    last_log_id: int
    ruleset: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of `n` records of a commit that a rule version matched, of which `late` were late for their window.

    `would` is what a dry run would have done; `suppressed_by` what kept them from people.
    """

    event_id: int
    rule: str
    rule_version: int
    fingerprint: str
    verdict: str
    would: str | None
    n: int
    late: int
    first_log_id: int
    last_log_id: int
    alert_id: int | None
    suppressed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Silenced:
    """The silence that hid a record, or hides an alert: whose, why, and until when, as it is written down now.

    `active`: whether it does so still. `broken`: that it ended then because too much came.
    """

    id: int
    matcher: str
    owner: str
    reason: str
    until: datetime | None
    active: bool = True
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Records that wait until a rule, or without one all of detection, no longer raises on them."""

    event_id: int
    rule: str | None
    first_log_id: int
    last_log_id: int
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, with what it is about."""

    id: int
    at: datetime
    kind: str
    subject: str
    actor: str
    cause_id: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry(Commit):
    """A commit in the books: how many records it took in, how many it refused, and of those it took in how many name
    which source (None: that was not written down yet). `position` is its place in the order of commits."""

    accepted: int
    rejected: int
    sources: dict[str, int] | None
    position: int
