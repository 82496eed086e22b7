"""Attribute values as the filter language sees them: a JSON object, flattened to paths."""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 64
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value: `string`, `number` or `boolean`; `text` is a string's content, and otherwise the JSON as it came."""

    kind: str
    text: str

    @property
    def number(self) -> float | None:
        """Of a number, and of a string that is one."""
        return None if self.kind == "boolean" else number_of(self.text)


def number_of(text: str) -> float | None:
    """What a JSON number means; None for every other text."""
    return float(text) if _NUMBER.fullmatch(text) else None


def flatten(document: str | bytes) -> dict[str, list[Scalar]]:
    """Path -> values: nested names joined with `.`, elements of arrays under the path of the array, nulls left out.

    What is nested deeper than `MAX_DEPTH` is one text, as it came.
    """
    found: dict[str, list[Scalar]] = {}
    waiting: list[tuple[str, bytes, int]] = [("", document.encode() if isinstance(document, str) else document, 0)]
    while waiting:
        path, raw, depth = waiting.pop()
        if raw[:1] in (b"{", b"["):
            inner = _inside(path, raw) if depth < MAX_DEPTH else None
            if inner is None:
                found.setdefault(path, []).append(Scalar("string", raw.decode()))
            else:
                waiting.extend((name, value, depth + 1) for name, value in reversed(inner))
        elif raw != b"null":
            found.setdefault(path, []).append(_scalar(raw))
    return found


def _inside(path: str, raw: bytes) -> list[tuple[str, bytes]] | None:
    """The members of an object or array with their paths; None when it is nested too deep to be read."""
    try:
        if raw[:1] == b"[":
            return [(path, bytes(value)) for value in _decode_list(raw)]
        prefix = f"{path}." if path else ""
        return [(prefix + name, bytes(value)) for name, value in _decode(raw).items()]
    except RecursionError:
        return None


def _scalar(raw: bytes) -> Scalar:
    if raw[:1] == b'"':
        text: Any = msgspec.json.decode(raw)
        return Scalar("string", text)
    return Scalar("boolean" if raw in {b"true", b"false"} else "number", raw.decode())
