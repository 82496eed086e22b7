"""How many messages a minute a channel takes: a bucket that fills steadily and lets a short burst through. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_BURST_SHARE: Final = 10  # a tenth of what a minute takes may go at once


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many `tokens` were there `at` this instant; None: it was never used and is full."""

    tokens: float = 0.0
    at: datetime | None = None


def depth(per_minute: int) -> float:
    return max(per_minute / _BURST_SHARE, 1.0)


def filled(bucket: Bucket, now: datetime, *, per_minute: int) -> Bucket:
    """The bucket as it is now. A clock that was set back adds nothing."""
    if bucket.at is None:
        return Bucket(depth(per_minute), now)
    passed_s = max((now - bucket.at).total_seconds(), 0.0)
    return Bucket(min(bucket.tokens + passed_s * per_minute / 60, depth(per_minute)), now)


def taken(bucket: Bucket, n: int) -> Bucket:
    return Bucket(bucket.tokens - n, bucket.at)


def next_at(bucket: Bucket, now: datetime, *, per_minute: int) -> datetime:
    """When there is a whole token, for a bucket that was just filled."""
    return now + timedelta(seconds=max(1.0 - bucket.tokens, 0.0) * 60 / per_minute)
