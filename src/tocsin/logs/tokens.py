"""Which words a segment holds: a Bloom filter over the tokens of its texts, small enough for the catalogue.

A token is a maximal run of ASCII letters, digits, `_` and bytes above 0x7F of the UTF-8 text, folded as the filter
language has it (`query.letters`). Hashes look at the first 16 bytes, so two long tokens that begin alike count as one:
the filter may say yes wrongly, never no.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.query.letters import fold

BITS_PER_TOKEN: Final = 9
PROBES: Final = 6
_SLICE_BYTES: Final = 256 << 10  # the arrays of a slice stay in the processor's cache
_HEAD: Final = b"TB1"
_KEY_BYTES: Final = 16

Hashes = npt.NDArray[np.uint64]


def _is_word(byte: int) -> bool:
    return byte >= 0x80 or chr(byte).isalnum() or byte == ord("_")


# Word bytes in lower case; every other byte becomes 0.
_FOLD: Final = bytes(byte + 32 if 65 <= byte <= 90 else byte if _is_word(byte) else 0 for byte in range(256))
# What is left of eight bytes when only the first n of them belong to the token.
_MASKS: Final = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
_K1: Final = np.uint64(0x9E3779B97F4A7C15)
_K2: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_K3: Final = np.uint64(0xFF51AFD7ED558CCD)
_NO_SECOND: Final = np.uint64(int(_K3) * int(_K2) & 0xFFFFFFFFFFFFFFFF)  # what short tokens have in its place
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFFFFFF)


def build(texts: Iterable[str]) -> bytes:
    """The filter of all tokens in these texts. Works in native code, in slices, without holding the GIL for long."""
    parts = [_unlike(_hashes(piece)) for text in texts for piece in _slices(_beyond_ascii(text).encode())]
    found = _unlike(np.concatenate(parts) if parts else np.empty(0, np.uint64))
    bits = max(len(found) * BITS_PER_TOKEN, 64)
    table = np.zeros(bits + (-bits) % 8, np.bool_)
    for places in _places(found, len(table)):
        table[places] = True
    return _HEAD + np.packbits(table, bitorder="little").tobytes()


def may_have(table: bytes, tokens: Collection[str]) -> bool:
    """Whether all these tokens (folded) may be in; False only when one certainly isn't."""
    if not table.startswith(_HEAD):
        return True  # of a later program: nothing can be said
    bits = (len(table) - len(_HEAD)) * 8
    for place, step in _probes(frozenset(tokens)):
        for turn in range(PROBES):
            bit = (((place + turn * step) & 0xFFFFFFFF) * bits) >> 32
            if not table[len(_HEAD) + (bit >> 3)] >> (bit & 7) & 1:
                return False
    return True


@lru_cache(maxsize=256)
def _probes(tokens: frozenset[str]) -> list[tuple[int, int]]:
    """As `_places` reckons them, for a few tokens and many filters."""
    hashes = _hashes(" ".join(sorted(tokens)).encode()).tolist()
    return [(value >> 32, (value & 0xFFFFFFFF) | 1) for value in hashes]


def _beyond_ascii(text: str) -> str:
    """The text with the letters beyond ASCII folded; a table folds the others as bytes."""
    return text if text.isascii() else fold(text)


def _slices(text: bytes) -> Iterable[bytes]:
    """Pieces that end between two lines."""
    start = 0
    while len(text) - start > _SLICE_BYTES:
        end = text.find(b"\n", start + _SLICE_BYTES)
        if end < 0:
            break
        yield text[start:end]
        start = end
    yield text[start:]


def _hashes(text: bytes) -> Hashes:
    """A hash for every token, in order. Tokens that are alike have the same."""
    folded = np.frombuffer(b"\0" + text.translate(_FOLD) + b"\0" * _KEY_BYTES, np.uint8)
    word = folded != 0
    edges = np.flatnonzero(word[1:] != word[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    # Eight bytes from every place on, without a copy.
    words: Hashes = np.ndarray((len(folded) - 7,), "<u8", buffer=folded, strides=(1,))
    mixed = (words[starts] & _MASKS[np.minimum(lengths, 8)]) * _K1
    mixed ^= _NO_SECOND
    long = np.flatnonzero(lengths > 8)
    if len(long):
        second = words[starts[long] + 8] & _MASKS[np.minimum(lengths[long], _KEY_BYTES) - 8]
        mixed[long] ^= _NO_SECOND ^ ((second + _K3) * _K2)
    mixed ^= mixed >> _HALF
    mixed *= _K3
    mixed ^= mixed >> _HALF
    hashes: Hashes = mixed
    return hashes


def _unlike(hashes: Hashes) -> Hashes:
    """Most repetitions left out: each hash leaves its place in a table, and goes when another one like it is there."""
    if len(hashes) < 1024:
        return np.unique(hashes)
    size = 1 << len(hashes).bit_length()
    slots = hashes & np.uint64(size - 1)
    places = np.arange(len(hashes), dtype=np.int32)
    last = np.zeros(size, np.int32)
    last[slots] = places
    winner = last[slots]
    kept = (winner == places) | (hashes[winner] != hashes)
    unlike: Hashes = hashes[kept]
    return unlike


def _places(hashes: Hashes, bits: int) -> Iterable[npt.NDArray[np.uint64]]:
    """The bits of every hash, `PROBES` times one for each."""
    place, step = hashes >> _HALF, (hashes & _LOW) | np.uint64(1)
    for _ in range(PROBES):
        yield (place * np.uint64(bits)) >> _HALF
        place = (place + step) & _LOW
