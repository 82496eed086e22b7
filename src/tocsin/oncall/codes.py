"""The code that verifies a contact method: whether one that is given is right, and what is kept of it."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

GOOD_FOR: Final = timedelta(minutes=10)
ATTEMPTS: Final = 5
AGAIN_AFTER: Final = timedelta(minutes=1)
DIGITS: Final = 6


class Verdict(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    SPENT = "spent"
    EXPIRED = "expired"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Pending:
    """A code that was asked for: its salted hash, when, and how often one was tried."""

    code_hash: str | None
    asked_at: datetime | None
    attempts: int


def hashed(code: str, salt: str) -> str:
    """What is kept of a code, or of another secret: `salt$hash`."""
    return f"{salt}${hashlib.sha256(f'{salt}{code}'.encode()).hexdigest()}"


def matches(given: str, kept: str) -> bool:
    """Whether a secret is the one that was kept, in a time that does not tell how much of it is right."""
    salt = kept.partition("$")[0]
    return hmac.compare_digest(hashed(given, salt), kept)


def judged(given: str, pending: Pending, now: datetime) -> Verdict:
    """What to say to a code that is given."""
    if pending.code_hash is None or pending.asked_at is None:
        return Verdict.NONE
    if now >= pending.asked_at + GOOD_FOR:
        return Verdict.EXPIRED
    if pending.attempts >= ATTEMPTS:
        return Verdict.SPENT
    return Verdict.RIGHT if matches(given.strip(), pending.code_hash) else Verdict.WRONG
