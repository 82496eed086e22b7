"""What a backup is: one tar file of members, with a manifest that names each with its size and SHA-256.

The members are files of a data folder under their paths there: the database, and the log segments that it names.
`manifest.json` comes first, so that a later program may add members without another format.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tocsin.kit.errors import TocsinError
from tocsin.storage.objects import IDENTITY_FILE

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 64 << 20  # room for 300,000 segments
SEGMENTS: Final = "segments"  # the folder they are in when they are restored, wherever they were
STORE_MEMBER: Final = f"{SEGMENTS}/{IDENTITY_FILE}"
_TELL_BYTES: Final = 16 << 20

Progress = Callable[[int, int], None]


class BackupFailed(TocsinError):
    """{detail}"""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the data folder, as it is in the backup."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds and which program made it. `created_at` is RFC 3339 in UTC: all committed before is in.

    The members are as they were; only `restore` changes the installation's number, after it has checked them.
    """

    format: int
    program_version: str
    schema_revision: str
    created_at: str
    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        return sum(member.size_bytes for member in self.members)


@dataclass(slots=True)
class Meter:
    """Counts bytes and tells how far it is, now and then."""

    hear: Progress | None
    total: int = 0
    done: int = 0
    _told: int = 0

    def add(self, size_bytes: int) -> None:
        """So many more are done."""
        self.done += size_bytes
        if self.hear is not None and size_bytes and (self.done - self._told >= _TELL_BYTES or self.done >= self.total):
            self._told = self.done
            self.hear(self.done, self.total)


class Checked:
    """Reads a file, hashes what it reads and counts it."""

    def __init__(self, file: IO[bytes], meter: Meter) -> None:
        self._file = file
        self._meter = meter
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        block = self._file.read(size)
        self._digest.update(block)
        self._meter.add(len(block))
        return block

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._digest.hexdigest()


def sync_folder(path: Path) -> None:
    """Make durable which files a folder has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
