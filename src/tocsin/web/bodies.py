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
MAX_MEMBERS: Final = 10_000
_INLINE_DEFLATED_BYTES: Final = 1 << 10  # deflate packs at most 1,032 to 1
_DEFLATED_SLICE_BYTES: Final = 64 << 10
_ZSTD_SLICE_BYTES: Final = 256  # 4 bytes may stand for 128 KiB, and a slice is unpacked whole
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
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
        if _unpacks_to_little(body, name):
            body = undo(body, name, limit)
        else:
            body = await asyncio.to_thread(undo, body, name, limit)
    return body


def _unpacks_to_little(body: bytes, name: bytes) -> bool:
    """Whether a body is so short, and what is in it too, that a thread would cost more than it saves."""
    if name != b"zstd":
        return len(body) <= _INLINE_DEFLATED_BYTES
    if len(body) > INLINE_BYTES or body.count(_ZSTD_MAGIC) != 1:
        return False
    try:
        return 0 <= zstandard.frame_content_size(body) <= INLINE_BYTES  # -1: the sender did not say
    except zstandard.ZstdError:
        return False


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
    size = at = members = 0
    while at < len(body):
        members = _one_more(members)
        undo = zlib.decompressobj(wbits)
        while not undo.eof:
            piece = body[at : at + _DEFLATED_SLICE_BYTES]
            if not piece:
                raise zlib.error("it ends too early")
            part = undo.decompress(piece, limit + 1 - size)
            at += len(piece) - len(undo.unused_data)
            size += len(part)
            parts.append(part)
            if size > limit or undo.unconsumed_tail:
                raise TooLarge(limit=limit, when=" after decompression")
        if wbits <= 15:  # only gzip may have several members
            break
    return b"".join(parts)


def _unzstd(body: bytes, _name: bytes, limit: int) -> bytes:
    """Frame by frame and in slices: the library's reader takes a frame that was cut short for a whole one."""
    parts: list[bytes] = []
    size = at = frames = 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    try:
        while at < len(body):
            frames = _one_more(frames)
            undo = decompressor.decompressobj()
            while not undo.eof:
                piece = body[at : at + _ZSTD_SLICE_BYTES]
                if not piece:
                    raise Malformed("the body is not zstd: it ends too early")
                part = undo.decompress(piece)
                at += len(piece) - len(undo.unused_data)
                size += len(part)
                parts.append(part)
                if size > limit:
                    raise TooLarge(limit=limit, when=" after decompression")
    except zstandard.ZstdError as error:
        raise Malformed(f"the body is not zstd: {error}") from error
    return b"".join(parts)


def _one_more(members: int) -> int:
    if members == MAX_MEMBERS:
        raise Malformed(f"the body has more than {MAX_MEMBERS} compressed members")
    return members + 1
