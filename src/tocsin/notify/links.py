"""Links that act: signed, for one ticket, one action and one person, until a time. Pure.

A token is what it allows and an HMAC-SHA256 of that (RFC 2104), cut to 128 bits (RFC 2104 5), both as base64url. What
was used is written down by its digest; a repeat of the same delivery has the same token.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from tocsin.kit.clock import EPOCH
from tocsin.notify.message import Action
from tocsin.tickets.workflow import UNRESOLVED, Status

LIVES: Final = timedelta(days=2)
KEY_BYTES: Final = 32
MAX_TOKEN: Final = 600
_TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 6
_PURPOSE: Final = b"tocsin link 1\0"


class Verb(StrEnum):
    """What a link allows."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    OPEN = "open"  # to look at the ticket


_LETTERS: Final = {Verb.ACKNOWLEDGE: "a", Verb.RESOLVE: "r", Verb.OPEN: "o"}
_VERBS: Final = {letter: verb for verb, letter in _LETTERS.items()}
_LABELS: Final = {Verb.ACKNOWLEDGE: "Acknowledge", Verb.RESOLVE: "Resolve", Verb.OPEN: "Open"}


@dataclass(frozen=True, slots=True)
class Link:
    """What a token allows. Without `person`, whoever answers says who they are: a button in a channel of many."""

    ticket_id: int
    verb: Verb
    person: str | None
    expires_at: datetime
    nonce: bytes


class NoLink(Exception):
    """A token that nobody here signed."""


def nonce_of(message_id: str) -> bytes:
    """What tells the links of one message from those of another."""
    return hashlib.blake2b(message_id.encode(), digest_size=_NONCE_BYTES).digest()


def sign(link: Link, key: bytes) -> str:
    until = int((link.expires_at - EPOCH).total_seconds())
    body = msgspec.msgpack.encode([link.ticket_id, _LETTERS[link.verb], link.person, until, link.nonce])
    return f"{_encoded(body)}.{_encoded(_tag(body, key))}"


def read(token: str, keys: Sequence[bytes]) -> Link:
    """What a token allows, if one of the keys signed it; also when it has expired. Raises NoLink."""
    first, _, second = token.partition(".")
    if len(token) > MAX_TOKEN or not second:
        raise NoLink
    body, tag = _decoded(first), _decoded(second)
    good = [hmac.compare_digest(_tag(body, key), tag) for key in keys]
    if not any(good):
        raise NoLink
    try:
        ticket_id, letter, person, until, nonce = msgspec.msgpack.decode(body)
        return Link(ticket_id, _VERBS[letter], person, EPOCH + timedelta(seconds=until), nonce)
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, OverflowError):
        raise NoLink from None


def digest(token: str) -> str:
    """What is kept of a token that was used: it can't be made from this again."""
    return hashlib.sha256(token.encode()).hexdigest()


def _tag(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + body, "sha256")[:_TAG_BYTES]


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes:
    """The bytes of the one text that stands for them. Raises NoLink."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (ValueError, UnicodeEncodeError):
        raise NoLink from None
    if _encoded(raw) != text:
        raise NoLink
    return raw


def actions_of(
    ticket_id: int,
    status: Status,
    *,
    person: str | None,
    message_id: str,
    key: bytes,
    base_url: str | None,
    now: datetime,
) -> tuple[Action, ...]:
    """What a reader may do from a message about a ticket in this status; nothing where no address is known."""
    if base_url is None:
        return ()
    verbs = [Verb.ACKNOWLEDGE] if status is Status.OPEN else []
    verbs += [Verb.RESOLVE] if status in UNRESOLVED else []
    made: list[Action] = []
    for verb in (*verbs, Verb.OPEN):
        token = sign(Link(ticket_id, verb, person, now + LIVES, nonce_of(message_id)), key)
        url = f"{base_url.rstrip('/')}/act/{token}"
        made.append(Action(verb.value, _LABELS[verb], url, "" if verb is Verb.OPEN else token))
    return tuple(made)


def public_url(text: str | None) -> str | None:
    """The address that links begin with. Raises ValueError."""
    if text is None or not text.strip():
        return None
    found: Any = text.strip().rstrip("/")
    scheme, _, rest = found.partition("://")
    if scheme not in {"http", "https"} or not rest or any(letter in rest for letter in "?#@ \\\"'<>"):
        raise ValueError("TOCSIN_PUBLIC_URL: expected an address such as https://tocsin.example.org")
    return str(found)
