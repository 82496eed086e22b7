"""Where the elements of a JSON array begin and end, though one of them can't be read: the others shall be kept."""

import re
from typing import Final

MAX_SPLIT_BYTES: Final = 16 << 20  # it walks token by token, in Python; a larger array must be sound as a whole

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)


class NotAnArray(ValueError):
    """The brackets don't close: where an element ends can't be told."""


def split_array(body: bytes) -> list[bytes]:
    """The elements of an array as they are written, sound or not. Raises NotAnArray.

    Strings must be closed and brackets balanced; nothing else is looked at.
    """
    elements: list[bytes] = []
    depth = begin = 0
    for token in _TOKEN.finditer(body):
        character = token[0][:1]
        if token[0] == b'"':
            break  # a string that never closes
        if character in b"[{":
            depth += 1
            if depth == 1:
                begin = token.end()
        elif character in b"]}":
            depth -= 1
            if depth == 0:
                last = body[begin : token.start()].strip()
                if body[token.end() :].strip():
                    break
                return [*elements, last] if last or elements else []
        elif character == b"," and depth == 1:
            elements.append(body[begin : token.start()].strip())
            begin = token.end()
    raise NotAnArray("its brackets or quotes are not closed")
