"""Blocks of closed tickets: what reports count of some thousand of them, a packed column each. Pure.

A block holds every CLOSED ticket whose id lies in its span, and no other: whoever closes one or changes a closed one
throws its block away, in the same transaction. What is read through blocks is what the rows would say, not an estimate.
"""

import json
import struct
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import numpy as np
import zstandard

from tocsin.tickets.coded import Coded

SPAN: Final = 1_024  # ids of a block: it is made within one turn of the write lock
MOST_RUNS: Final = 40  # stretches of ids without blocks; beyond it is quicker to read everything
_HEAD: Final = struct.Struct("<I")
_LEVEL: Final = 1


def block_of(ticket_id: int) -> int:
    return ticket_id // SPAN


def ids_of(block: int) -> tuple[int, int]:
    """The first id of a block, and the first after it."""
    return block * SPAN, (block + 1) * SPAN


def gaps(blocks: Collection[int], last_id: int) -> list[tuple[int, int]]:
    """The stretches of ids up to the last one that no block is about: first, and first after."""
    end = block_of(last_id) + 1
    found: list[tuple[int, int]] = []
    before = 0
    for block in [*sorted(block for block in blocks if block < end), end]:
        if block > before:
            found.append((before * SPAN, block * SPAN))
        before = block + 1
    return found


def worthwhile(there: Sequence[tuple[int, int]], useful: int) -> bool:
    """Whether reading so many useful blocks and the stretches that none is about is quicker than reading rows."""
    missing = sum((until - since) // SPAN for since, until in there)
    return useful > 0 and len(there) <= MOST_RUNS and missing <= 4 + 2 * useful


def pack_numbers(values: Any) -> bytes:
    """Whole numbers of 64 bits, their bytes by place: those that hardly differ stand together."""
    by_place = np.ascontiguousarray(np.asarray(values, dtype="<i8").view(np.uint8).reshape(-1, 8).T)
    return zstandard.ZstdCompressor(level=_LEVEL).compress(by_place.tobytes())


def unpack_numbers(parts: Iterable[bytes]) -> Any:
    """The numbers of some blocks, one after the other."""
    decompressor = zstandard.ZstdDecompressor()
    found = [
        np.ascontiguousarray(np.frombuffer(decompressor.decompress(part), np.uint8).reshape(8, -1).T).view("<i8")[:, 0]
        for part in parts
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def pack_words(values: Coded) -> bytes:
    """Words, of which few differ."""
    used, codes = np.unique(values.codes, return_inverse=True)
    words = json.dumps([values.words[code] for code in used], ensure_ascii=False).encode()
    return zstandard.ZstdCompressor(level=_LEVEL).compress(
        _HEAD.pack(len(words)) + words + codes.astype("<u2").tobytes()
    )


def unpack_words(parts: Iterable[bytes]) -> Coded:
    """The words of some blocks, one after the other."""
    decompressor = zstandard.ZstdDecompressor()
    found: list[Coded] = []
    for part in parts:
        data = decompressor.decompress(part)
        [size] = _HEAD.unpack_from(data)
        words = json.loads(data[_HEAD.size : _HEAD.size + size])
        found.append(Coded(tuple(words), np.frombuffer(data, "<u2", offset=_HEAD.size + size)))
    return Coded.joined(found)
