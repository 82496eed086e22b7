"""What `tocsin import` reads: files or standard input, plain or compressed, as lines with their offsets."""

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import zstandard

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
SAMPLE_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 256 * 1024


@dataclass(slots=True)
class Source:
    """An open input. Offsets count bytes after decompression; `raw` tells how far the file itself is read."""

    name: str
    stream: io.BufferedReader
    raw: io.BufferedReader
    size: int | None
    head: bytes

    @property
    def done(self) -> int:
        """Bytes of the file read so far, for the progress bar."""
        return self.raw.tell() if self.size is not None else 0

    def skip(self, offset: int) -> None:
        """Go on at this offset."""
        left = offset
        while left > 0:
            got = self.stream.read(min(left, 1 << 20))
            if not got:
                return
            left -= len(got)

    def lines(self) -> Iterator[bytes]:
        """Lines with their ends; one longer than 256 KiB comes in pieces."""
        while line := self.stream.readline(MAX_LINE_BYTES):
            yield line

    def close(self) -> None:
        self.stream.close()
        self.raw.close()


def open_source(path: str) -> Source:
    """Open a file, or standard input for `-`. Raises OSError."""
    raw: Any = open(0 if path == "-" else path, "rb", buffering=1 << 20, closefd=path != "-")  # noqa: SIM115
    size = None if path == "-" else Path(path).stat().st_size
    stream = _undone(raw)
    return Source("standard input" if path == "-" else path, stream, raw, size, stream.peek(SAMPLE_BYTES))


def _undone(raw: io.BufferedReader) -> io.BufferedReader:
    """The stream behind a compression, told by its first bytes."""
    magic = raw.peek(4)[:4]
    if magic.startswith(GZIP):
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=raw)), 1 << 20)
    if magic == ZSTD:
        stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(cast("io.RawIOBase", stream), 1 << 20)
    return raw
