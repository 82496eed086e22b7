"""Keyset cursors: where a list page ended, as an opaque URL-safe text."""

import base64
import binascii
import json

from tocsin.kit.errors import FieldError, Invalid


def encode_cursor(kind: str, *keys: int | str) -> str:
    """An opaque cursor for the list `kind` that continues after the row with these sort keys."""
    text = json.dumps([kind, *keys], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kind: str, *types: type) -> tuple[int | str, ...]:
    """The sort keys of a cursor made for `kind`; Invalid when it was not, or was altered."""
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        found, *keys = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        fits = found == kind and tuple(type(key) for key in keys) == types
        fits = fits and all(0 <= key <= 2**53 for key in keys if isinstance(key, int))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        fits = False
    if not fits:
        detail = "is not a cursor of this list with this sort order; take it from `next` of the page before"
        raise Invalid(f"cursor {detail}", errors=(FieldError("cursor", detail),))
    return tuple(keys)
