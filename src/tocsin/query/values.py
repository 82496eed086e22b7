"""Attribute values as the filter language sees them: a JSON object, flattened to paths."""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

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
    """Path -> values: nested names joined with `.`, elements of arrays under the path of the array, nulls left out."""
    found: dict[str, list[Scalar]] = {}
    waiting: list[tuple[str, bytes]] = [("", document.encode() if isinstance(document, str) else document)]
    while waiting:
        path, raw = waiting.pop()
        first = raw[:1]
        if first == b"{":
            prefix = f"{path}." if path else ""
            waiting.extend((prefix + name, bytes(value)) for name, value in reversed(_decode(raw).items()))
        elif first == b"[":
            waiting.extend((path, bytes(value)) for value in reversed(_decode_list(raw)))
        elif raw != b"null":
            found.setdefault(path, []).append(_scalar(raw))
    return found


def _scalar(raw: bytes) -> Scalar:
    if raw[:1] == b'"':
        text: Any = msgspec.json.decode(raw)
        return Scalar("string", text)
    return Scalar("boolean" if raw in {b"true", b"false"} else "number", raw.decode())
