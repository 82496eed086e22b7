"""A request's body, whole: bounded before and after decompression."""

import asyncio
import zlib
from typing import Final

import zstandard
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from tocsin.kit.errors import Malformed, TooLarge, UnsupportedMedia

MAX_BODY_BYTES: Final = 64 << 20
INLINE_BYTES: Final = 64 << 10
_GZIP_OR_ZLIB: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


async def read_body(receive: Receive, *, content_length: int | None, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body as it was sent. Raises TooLarge as soon as that is known, ClientDisconnect."""
    if content_length is not None and content_length > limit:
        raise TooLarge(limit=limit, when="")
    message = await receive()
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise TooLarge(limit=limit, when="")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge(limit=limit, when="")
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return body


async def decompressed(body: bytes, encoding: bytes, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body behind a Content-Encoding (several may be stacked). Raises UnsupportedMedia, Malformed, TooLarge."""
    names = [name.strip().lower() for name in encoding.split(b",") if name.strip()]
    if len(names) > 2:
        raise UnsupportedMedia(detail="at most two content encodings are undone")
    for name in reversed(names):
        if name == b"identity":
            continue
        if name not in _GZIP_OR_ZLIB and name != b"zstd":
            given = name.decode("latin-1")
            raise UnsupportedMedia(detail=f"Content-Encoding {given!r} is not understood; use gzip, deflate or zstd.")
        undo = _unzstd if name == b"zstd" else _inflate
        if len(body) <= INLINE_BYTES // 16:
            body = undo(body, name, limit)
        else:
            body = await asyncio.to_thread(undo, body, name, limit)
    return body


def _inflate(body: bytes, name: bytes, limit: int) -> bytes:
    try:
        return _inflate_members(body, _GZIP_OR_ZLIB[name], limit)
    except zlib.error as error:
        if name == b"deflate":  # some senders write a raw stream without the zlib header
            try:
                return _inflate_members(body, -15, limit)
            except zlib.error:
                pass
        raise Malformed(f"the body is not {name.decode()}: {error}") from error


def _inflate_members(body: bytes, wbits: int, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest:
        undo = zlib.decompressobj(wbits)
        part = undo.decompress(rest, limit + 1 - size)
        size += len(part)
        parts.append(part)
        if size > limit or undo.unconsumed_tail:
            raise TooLarge(limit=limit, when=" after decompression")
        if not undo.eof:
            raise zlib.error("it ends too early")
        rest = undo.unused_data if wbits > 15 else b""  # only gzip may have several members
    return b"".join(parts)


def _unzstd(body: bytes, _name: bytes, limit: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body, read_across_frames=True) as stream:
            found = stream.read(limit + 1)
    except zstandard.ZstdError as error:
        raise Malformed(f"the body is not zstd: {error}") from error
    if len(found) > limit:
        raise TooLarge(limit=limit, when=" after decompression")
    return found
