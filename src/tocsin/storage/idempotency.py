"""Answers that were given, kept with the change they answer, so that a repeat of the request gets the same one."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.kit.errors import FieldError, IdempotencyMismatch, Invalid
from tocsin.storage.model import idempotency_keys as keys
from tocsin.storage.tx import ReadTx, Tx

KEPT: Final = timedelta(hours=24)
MAX_KEY_CHARS: Final = 255
_SLICE: Final = 500


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that named an Idempotency-Key. `request_hash` covers method, path, query and body."""

    credential: str
    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it left."""

    status: int
    headers: dict[str, str]
    body: bytes


def keyed_request(credential: str, key: str, *parts: bytes) -> KeyedRequest:
    """Name a request by its key, and its content by a hash. Raises Invalid for an empty or overlong key."""
    text = key.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]  # the draft writes a quoted structured-field string
    if not 0 < len(text) <= MAX_KEY_CHARS or not text.isprintable():
        detail = f"expected 1 to {MAX_KEY_CHARS} printable characters"
        raise Invalid(f"Idempotency-Key: {detail}", errors=(FieldError("Idempotency-Key", detail),))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return KeyedRequest(credential, text, digest.hexdigest())


def earlier_answer(tx: ReadTx, request: KeyedRequest) -> Answer | None:
    """The answer this request got before, if it did. Raises IdempotencyMismatch for a different request."""
    same = (keys.c.credential == request.credential) & (keys.c.key == request.key)
    row = tx.execute(select(keys).where(same)).one_or_none()
    if row is None or row.created_at < tx.now - KEPT:
        return None
    if row.request_hash != request.request_hash:
        raise IdempotencyMismatch(key=request.key)
    return Answer(row.status, row.headers, row.body)


def claim(tx: Tx, request: KeyedRequest) -> Answer | None:
    """Make the key this transaction's own, waiting for a transaction elsewhere that holds it.

    Returns the answer when the request was answered before; None when it is ours to answer (then call `keep`).
    """
    expired = (keys.c.credential == request.credential) & (keys.c.key == request.key)
    tx.execute(delete(keys).where(expired, keys.c.created_at < tx.now - KEPT))
    row = {
        "credential": request.credential,
        "key": request.key,
        "request_hash": request.request_hash,
        "status": 0,
        "headers": {},
        "body": b"",
        "created_at": tx.now,
    }
    upsert = postgresql.insert(keys) if tx.dialect == "postgresql" else sqlite.insert(keys)
    mine = tx.execute(upsert.values(**row).on_conflict_do_nothing().returning(keys.c.key)).one_or_none()
    return None if mine is not None else earlier_answer(tx, request)


def keep(tx: Tx, request: KeyedRequest, answer: Answer) -> None:
    """Store the answer in the transaction of the change that it reports."""
    same = (keys.c.credential == request.credential) & (keys.c.key == request.key)
    tx.execute(keys.update().where(same).values(status=answer.status, headers=answer.headers, body=answer.body))


def forget_expired(tx: Tx) -> int:
    """Delete some expired keys; returns how many."""
    old = select(keys.c.credential, keys.c.key).where(keys.c.created_at < tx.now - KEPT).limit(_SLICE)
    found = tx.execute(old).all()
    for row in found:
        tx.execute(delete(keys).where(keys.c.credential == row.credential, keys.c.key == row.key))
    return len(found)
