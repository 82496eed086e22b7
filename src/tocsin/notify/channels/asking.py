"""Asking a provider over HTTP: secrets never stand in what people are told, and what is no success is a refusal."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tocsin.notify.channels.channel import Answer, Outside
from tocsin.notify.message import DeliveryFailed
from tocsin.notify.refusals import refusal

_LEAST_SECRET: Final = 6


async def ask(
    outside: Outside,
    method: str,
    url: str,
    *,
    hidden: Iterable[str | None] = (),
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> Answer:
    """The answer, whatever its status. `hidden` are secrets: they stand in no error. Raises DeliveryFailed."""
    try:
        return await outside.request(method, url, headers=headers, json=json, form=form, auth=auth)
    except DeliveryFailed as failed:
        raise without_secrets(failed, hidden) from None


def taken(answer: Answer, *, hidden: Iterable[str | None] = ()) -> Answer:
    """An answer that is a success. Raises DeliveryFailed."""
    if 200 <= answer.status < 300:
        return answer
    raise without_secrets(refusal(answer, now=datetime.now(UTC)), hidden)


def without_secrets(failed: DeliveryFailed, hidden: Iterable[str | None]) -> DeliveryFailed:
    """The same failure without these texts."""
    detail = failed.detail
    for secret in sorted((text for text in hidden if text and len(text) >= _LEAST_SECRET), key=len, reverse=True):
        detail = _without_its_start(detail.replace(secret, "***"), secret)
    return DeliveryFailed(detail, permanent=failed.permanent, gone=failed.gone, retry_after_s=failed.retry_after_s)


def _without_its_start(detail: str, secret: str) -> str:
    """What an answer says was cut to fit, maybe in the middle of a secret."""
    text = detail.removesuffix("…")
    for size in range(min(len(secret) - 1, len(text)), _LEAST_SECRET - 1, -1):
        if text.endswith(secret[:size]):
            return f"{text[:-size]}***"
    return detail


def fields_of(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; none for anything else."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
