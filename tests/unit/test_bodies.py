"""A body's compression is undone whole or not at all, and never for long on the event loop."""

import gzip
import threading
import time
import zlib
from collections.abc import Callable

import anyio
import pytest
import zstandard

from tocsin.kit.errors import Malformed, TooLarge
from tocsin.web import bodies
from tocsin.web.bodies import INLINE_BYTES, decompressed

TEXT = b"".join(b'{"message":"record %d of many"}\n' % n for n in range(20_000))
WITHOUT_SIZE = zstandard.ZstdCompressor(write_content_size=False)
WITH_CHECKSUM = zstandard.ZstdCompressor(write_checksum=True)
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"


def undone(body: bytes, encoding: bytes, *, limit: int = bodies.MAX_BODY_BYTES) -> bytes:
    async def undo() -> bytes:
        return await decompressed(body, encoding, limit=limit)

    return anyio.run(undo)


@pytest.mark.parametrize("pack", [zstandard.compress, WITHOUT_SIZE.compress, WITH_CHECKSUM.compress])
@pytest.mark.parametrize("text", [b"{}", TEXT], ids=["short", "long"])
def test_a_zstd_body_that_was_cut_is_malformed_wherever_it_was_cut(pack: Callable[[bytes], bytes], text: bytes) -> None:
    body = pack(text)
    assert undone(body, b"zstd") == text
    for cut in (1, 2, 3, 4, 5, len(body) // 2, len(body) - 1):
        with pytest.raises(Malformed):
            undone(body[:-cut], b"zstd")
        with pytest.raises(Malformed):
            undone(body + body[:-cut], b"zstd")


def test_several_zstd_frames_are_one_body() -> None:
    empty = zstandard.compress(b"")
    body = empty + zstandard.compress(TEXT) + SKIPPABLE + WITHOUT_SIZE.compress(b"x") + empty

    assert undone(body, b"zstd") == TEXT + b"x"
    assert undone(empty, b"zstd") == undone(b"", b"zstd") == b""
    with pytest.raises(Malformed):
        undone(body + b"trailing", b"zstd")


def test_a_zstd_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    body = zstandard.compress(b" " * 5000)

    assert len(undone(body, b"zstd", limit=5000)) == 5000
    with pytest.raises(TooLarge):
        undone(body, b"zstd", limit=4999)


@pytest.mark.parametrize(
    ("encoding", "member"), [(b"gzip", gzip.compress(b"")), (b"zstd", zstandard.compress(b""))], ids=["gzip", "zstd"]
)
def test_empty_members_without_end_are_refused_at_once(encoding: bytes, member: bytes) -> None:
    started = time.process_time()
    with pytest.raises(Malformed, match="10000"):
        undone(member * 500_000, encoding)
    assert time.process_time() - started < 2


def test_gzip_members_and_slices_meet_anywhere() -> None:
    parts = [TEXT[start : start + 37] for start in range(0, len(TEXT) // 20, 37)]
    stored = gzip.compress(TEXT, 0)  # larger than a slice

    assert undone(b"".join(map(gzip.compress, parts)), b"gzip") == b"".join(parts)
    assert undone(stored * 2 + gzip.compress(b"x"), b"gzip") == TEXT * 2 + b"x"
    assert undone(zlib.compress(TEXT, 0), b"deflate") == TEXT
    for cut in (1, 8, len(stored) // 2):
        with pytest.raises(Malformed):
            undone(stored + stored[:-cut], b"gzip")


@pytest.mark.parametrize(
    ("body", "encoding", "inline"),
    [
        (gzip.compress(b"{}"), b"gzip", True),
        (zstandard.compress(b"{}"), b"zstd", True),
        (zstandard.compress(b" " * INLINE_BYTES), b"zstd", True),
        (zstandard.compress(b" " * (INLINE_BYTES + 1)), b"zstd", False),
        (WITHOUT_SIZE.compress(b"{}"), b"zstd", False),
        (zstandard.compress(b"{}") + zstandard.compress(b" " * (8 << 20)), b"zstd", False),
        (gzip.compress(b" " * (4 << 20)), b"gzip", False),
        (zlib.compress(b" " * (4 << 20)), b"deflate", False),
    ],
    ids=lambda value: f"{len(value)}" if isinstance(value, bytes) and len(value) > 7 else None,  # gzip holds the time
)
def test_only_what_unpacks_to_little_is_unpacked_on_the_event_loop(
    body: bytes, encoding: bytes, inline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    for name in ("_inflate", "_unzstd"):
        undo = getattr(bodies, name)

        def noted(*given: object, undo: Callable[..., bytes] = undo) -> bytes:
            threads.append(threading.current_thread())
            return undo(*given)

        monkeypatch.setattr(bodies, name, noted)

    undone(body, encoding)

    assert [thread is threading.main_thread() for thread in threads] == [inline]
