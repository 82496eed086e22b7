"""What an HTTP answer that is no success means for a delivery. Pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from tocsin.notify.channels.channel import Answer
from tocsin.notify.message import DeliveryFailed

_AGAIN: Final = frozenset({408, 425, 429})
_SHOWN: Final = 200


def refusal(answer: Answer, *, now: datetime) -> DeliveryFailed:
    """408, 425, 429 and 5xx are worth another try; 410 says never again; other 4xx and all 3xx stay as they are."""
    status = answer.status
    text = " ".join(answer.body.decode("utf-8", "replace").split())[:_SHOWN]
    if 300 <= status < 400:
        text = f"(redirects are not followed) {text}"
    return DeliveryFailed(
        f"{status} {text}".rstrip(),
        permanent=not (status in _AGAIN or status >= 500),
        gone=status == 410,
        retry_after_s=retry_after_s(answer.headers.get("retry-after"), now=now),
    )


def retry_after_s(header: str | None, *, now: datetime) -> float | None:
    """Seconds of a `Retry-After` header, given as a number or as a date (RFC 9110 10.2.3); None for anything else."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
        # The old form of asctime has no zone; all dates of HTTP are in UTC.
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max((at - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None
