"""Immutable objects by key: a folder of files now, behind a protocol that an S3-compatible store can serve as well."""

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Protocol

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import StartRefused
from tocsin.storage.database import Database
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

IDENTITY_FILE: Final = "store.json"
DAMAGED: Final = "damaged"
STORE: Final = "segment_store"
HELD: Final = ".backup-"  # a folder that begins so holds what a backup is reading (see `storage.held`)
_TEMPORARY: Final = ".tmp-"
_DISK_ERROR: Final = re.compile(r"\(os error (\d{1,3})\)")


@dataclass(frozen=True, slots=True)
class Stored:
    """What was written."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object that is there."""

    key: str
    size_bytes: int
    modified_at: datetime


class NoSuchObject(Exception):
    """No object has this key; it may have had one."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Around what reads a `source`: to a library, an object that is not there is a file that is not. Raises
    NoSuchObject."""
    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchObject from error


class Objects(Protocol):
    """Objects are written once, whole, and never changed."""

    def put(self, key: str, write: Callable[[Path], None]) -> Stored:
        """Store what `write` writes into a file; durable when this returns. Raises the disk's errors."""
        ...

    def source(self, key: str) -> str:
        """What Polars can read it from: a path or a URL."""
        ...

    def version(self, key: str) -> str | None:
        """A text that changes when the object's bytes do; None when it is not there. Raises the disk's errors."""
        ...

    def verify(self, key: str, *, size_bytes: int, sha256: str) -> str | None:
        """None when its bytes are those, else what is wrong. Raises the disk's errors: they tell nothing of it."""
        ...

    def open(self, key: str) -> IO[bytes]:
        """Its bytes, to be read once from the beginning. Raises NoSuchObject."""
        ...

    def delete(self, key: str) -> None:
        """Remove it, if it is there, and what was set aside of it."""
        ...

    def keys(self) -> Iterator[ObjectInfo]:
        """All objects by key, and what was left of writes that did not end."""
        ...

    def set_aside(self, key: str) -> None:
        """Keep a damaged object where nothing but a person looks at it."""
        ...


class Folder:
    """Objects as files below a folder that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StartRefused(detail=f"The folder {path} can't be used for log segments: {error.strerror}.") from error

    def put(self, key: str, write: Callable[[Path], None]) -> Stored:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = target.with_name(f"{_TEMPORARY}{secrets.token_hex(4)}-{target.name}")
        try:
            write(temporary)
            temporary.chmod(0o600)
            with temporary.open("rb+") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            told = _disk_error(error)
            if told is None:
                raise
            raise told from error
        for folder in (target.parent, *target.parent.parents):
            _sync(folder)
            if folder == self.path:
                break
        return Stored(size, digest)

    def source(self, key: str) -> str:
        return str(self._path(key))

    def version(self, key: str) -> str | None:
        try:
            found = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"

    def verify(self, key: str, *, size_bytes: int, sha256: str) -> str | None:
        try:
            with self._path(key).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != size_bytes:
                    return f"{size:,} bytes instead of {size_bytes:,}"
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return "its checksum doesn't match"
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        return None

    def open(self, key: str) -> IO[bytes]:
        with reading():
            return self._path(key).open("rb")

    def delete(self, key: str) -> None:
        path = self._path(key)
        for one in (path, self.path / DAMAGED / key):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                one.unlink()

    def keys(self) -> Iterator[ObjectInfo]:
        for path in sorted(self.path.rglob("*")):
            key = path.relative_to(self.path).as_posix()
            if key == IDENTITY_FILE or key.startswith((f"{DAMAGED}/", HELD)):
                continue
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                if path.is_file():
                    yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def set_aside(self, key: str) -> None:
        target = self.path / DAMAGED / key
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            self._path(key).replace(target)

    def identity(self) -> int | None:
        """The number of the store, if the folder has one. Raises StartRefused."""
        try:
            content: Any = json.loads((self.path / IDENTITY_FILE).read_bytes())
            return int(content["store"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StartRefused(
                detail=f"{self.path / IDENTITY_FILE} can't be read; restore it from a backup."
            ) from error

    def claim(self, identity: int) -> None:
        """Give the folder a number. Raises StartRefused when that can't be written."""
        try:
            self.put(IDENTITY_FILE, lambda file: _write(file, identity_content(identity)))
        except OSError as error:
            raise StartRefused(
                detail=f"The folder {self.path} can't be used for log segments: {error.strerror}."
            ) from error

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts or str(parts) != key:
            raise ValueError(f"not the key of an object: {key!r}")
        return self.path / parts


def identity_content(identity: int) -> bytes:
    """What stands in the file that says which store a folder is."""
    return json.dumps({"store": identity}).encode()


def check_identity(database: Database, objects: Folder, *, in_use: bool) -> None:
    """Make sure that the folder is the one this database's segments are in. Raises StartRefused.

    Without this, a server with another, empty folder would take all segments for lost, and one with the folder of
    another database would remove that one's as nobody's. `in_use`: there are segments.
    """
    # The folder is looked at first: whoever gave it a number had written that into the database before.
    found = objects.identity()
    expected = database.read(_identity)
    if expected is not None and found == expected:
        return
    if found is not None:
        raise StartRefused(
            detail=f"The folder {objects.path} holds the log segments of another database than this server's: set "
            "TOCSIN_SEGMENTS_DIR to the folder that has this one's (all servers of a database share one), or for a "
            "new database to an empty folder."
        )
    if in_use:
        raise StartRefused(
            detail=f"The database names log segments, and the folder {objects.path} is not the one they are in (it has "
            f"no {IDENTITY_FILE}): set TOCSIN_SEGMENTS_DIR to the folder that is, or put their copy back whole."
        )
    there = objects.keys()
    foreign = next((one.key for one in there if not one.key.startswith(_TEMPORARY)), None)
    if foreign is not None:
        raise StartRefused(
            detail=f"The folder {objects.path} has files that are not Tocsin's, such as {foreign}, and what no segment "
            "names is removed there: set TOCSIN_SEGMENTS_DIR to an empty folder."
        )
    objects.claim(database.write(_identify, actor=SYSTEM) if expected is None else expected)


def _identity(tx: ReadTx) -> int | None:
    return tx.execute(select(counters.c.value).where(counters.c.name == STORE)).scalar_one_or_none()


def _identify(tx: Tx) -> int:
    """The database's number; another server may give it one at the same moment."""
    upsert = postgresql.insert(counters) if tx.dialect == "postgresql" else sqlite.insert(counters)
    tx.execute(upsert.values(name=STORE, value=secrets.randbits(53)).on_conflict_do_nothing())
    return int(tx.execute(select(counters.c.value).where(counters.c.name == STORE)).scalar_one())


def _disk_error(error: BaseException) -> OSError | None:
    """The disk's error that a library tells of in words only: `... No space left on device (os error 28)`."""
    found = None if isinstance(error, OSError) else _DISK_ERROR.search(str(error))
    return None if found is None else OSError(int(found[1]), os.strerror(int(found[1])))


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
