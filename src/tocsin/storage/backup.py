"""Backups of an embedded installation: one tar file with a manifest, made while the server runs, checked when restored.

The members are files of the data folder under their paths there. `manifest.json` comes first and names each with its
size and SHA-256, so that a later program may add members (segment files) without another format.

What is restored is another installation: its database gets a new random number, so that a client which remembers what
it sent to the original (`tocsin import`) doesn't take that for what the restored one has.
"""

import hashlib
import io
import json
import os
import secrets
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from tocsin import __version__
from tocsin.kit.clock import iso
from tocsin.kit.errors import TocsinError
from tocsin.storage.database import DATABASE_FILE
from tocsin.storage.dialects import BUSY_TIMEOUT_MS
from tocsin.storage.folder import LOCK_FILE, DataFolder
from tocsin.storage.schema import known_revisions

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 64 << 20
_STEP_PAGES: Final = 4096
_BLOCK_BYTES: Final = 1 << 20

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


def back_up(
    data_dir: Path, file: Path, *, now: datetime, overwrite: bool = False, progress: Progress | None = None
) -> Manifest:
    """Write a consistent copy of the installation in `data_dir` to `file`, whether or not a server is using it.

    Needs room for the database twice beside `file` until it is done. `progress` hears bytes copied and bytes in all.
    Raises BackupFailed; an existing `file` stays as it was until the new one is complete and on the disk.
    """
    database = data_dir / DATABASE_FILE
    if not database.is_file():
        raise BackupFailed(detail=f"There is no installation in {data_dir}: it has no {DATABASE_FILE}.")
    _check_target(file, overwrite)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as beside:
        copy = Path(beside, DATABASE_FILE)
        revision = _copy_database(database, copy, progress)
        members = {copy: Member(DATABASE_FILE, copy.stat().st_size, _sha256(copy))}
        manifest = Manifest(FORMAT, __version__, revision, iso(now), tuple(members.values()))
        packed = Path(beside, "backup.tar")
        _pack(packed, manifest, members)
        _check_target(file, overwrite)
        packed.replace(file)
    _sync_folder(file.parent)
    return manifest


def _check_target(file: Path, overwrite: bool) -> None:
    if not file.parent.is_dir():
        raise BackupFailed(detail=f"The folder {file.parent} does not exist.")
    if file.is_dir():
        raise BackupFailed(detail=f"{file} is a folder; name a file in it.")
    if file.exists() and not overwrite:
        raise BackupFailed(detail=f"{file} exists already; --force replaces it.")


def _copy_database(source: Path, target: Path, progress: Progress | None) -> str:
    """Copy one snapshot of a database page by page and check the copy; returns its schema revision.

    The snapshot is held by an open read transaction, so commits meanwhile neither wait nor start the copy again.
    """
    target.touch(mode=0o600)
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as live,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            live.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            live.execute("PRAGMA query_only=ON")
            live.execute("BEGIN")
            revision = _revision(live)
            [page_bytes] = live.execute("PRAGMA page_size").fetchone()
            copy.execute("PRAGMA synchronous=OFF")  # it becomes durable as part of the tar file

            def step(_status: int, remaining: int, total: int) -> None:
                if progress is not None:
                    progress((total - remaining) * page_bytes, total * page_bytes)

            live.backup(copy, pages=_STEP_PAGES, progress=step, sleep=0)
            live.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # one file that needs no other beside it
            [verdict] = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BackupFailed(detail=f"{source} can't be copied: {error}") from error
    if verdict != "ok":
        raise BackupFailed(detail=f"{source} is damaged: {verdict}")
    return revision


def _revision(connection: sqlite3.Connection) -> str:
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    if found is None:
        raise BackupFailed(detail="The database is empty: no server has set it up yet.")
    return str(found[0])


def _pack(packed: Path, manifest: Manifest, members: Mapping[Path, Member]) -> None:
    descriptor = os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            content = json.dumps(asdict(manifest), indent=2).encode() + b"\n"
            tar.addfile(_entry(MANIFEST, len(content)), io.BytesIO(content))
            for path, member in members.items():
                with path.open("rb") as source:
                    tar.addfile(_entry(member.name, member.size_bytes), source)
        file.flush()
        os.fsync(file.fileno())


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, 0o600
    return entry


def restore(file: Path, data_dir: Path, *, progress: Progress | None = None) -> Manifest:
    """Set up `data_dir`, which must be empty or new, from a backup; a server can then be started on it.

    Every member is checked before the first takes its place, and the database gets a new number of the installation.
    Raises BackupFailed, StartRefused (folder in use).
    """
    with _opened(file) as tar:
        manifest = _read_manifest(tar, file)
        _check_fits(manifest, file)
        _check_empty(data_dir)
        folder = DataFolder(data_dir)
        try:
            _check_empty(data_dir)
            _unpack(tar, manifest, data_dir, progress)
        finally:
            folder.close()
    return manifest


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise BackupFailed(detail=f"{file} is not a whole backup: {error}") from error


def _read_manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    try:
        content: Any = json.loads(_member(tar, MANIFEST).read(MAX_MANIFEST_BYTES))
        if int(content["format"]) > FORMAT:
            raise BackupFailed(
                detail=f"{file} was made by Tocsin {content.get('program_version')} in format {content['format']}, "
                f"which is newer than what this program reads ({FORMAT})."
            )
        members = tuple(Member(str(m["name"]), int(m["size_bytes"]), str(m["sha256"])) for m in content["members"])
        manifest = Manifest(
            format=int(content["format"]),
            program_version=str(content["program_version"]),
            schema_revision=str(content["schema_revision"]),
            created_at=str(content["created_at"]),
            members=members,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackupFailed(detail=f"{file} is not a backup of Tocsin: its {MANIFEST} can't be read.") from error
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not path.parts or member.name == LOCK_FILE:
            raise BackupFailed(detail=f"{file} names a member that lies outside of a data folder: {member.name!r}")
    return manifest


def _check_fits(manifest: Manifest, file: Path) -> None:
    if manifest.schema_revision not in known_revisions():
        raise BackupFailed(
            detail=f"{file} holds a database at revision {manifest.schema_revision}, which is newer than this "
            f"program's {known_revisions()[-1]}: restore it with Tocsin {manifest.program_version} or later."
        )


def _check_empty(data_dir: Path) -> None:
    if not data_dir.exists():
        return
    if not data_dir.is_dir():
        raise BackupFailed(detail=f"{data_dir} is not a folder.")
    names = sorted(entry.name for entry in data_dir.iterdir() if entry.name != LOCK_FILE)
    if DATABASE_FILE in names:
        raise BackupFailed(detail=f"{data_dir} has an installation already; restore into an empty or new folder.")
    if names:
        raise BackupFailed(detail=f"{data_dir} is not empty (it has {names[0]}); restore into an empty or new folder.")


def _unpack(tar: tarfile.TarFile, manifest: Manifest, data_dir: Path, progress: Progress | None) -> None:
    done = 0
    with tempfile.TemporaryDirectory(prefix=".restoring.", dir=data_dir) as beside:
        for member in manifest.members:
            target = Path(beside, member.name)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _copy_checked(_member(tar, member.name), target, member)
            done += member.size_bytes
            if progress is not None:
                progress(done, manifest.size_bytes)
        _renumber(Path(beside, DATABASE_FILE))
        # The database comes last: without it a folder is no installation, so a half-done restore can't be started.
        for member in sorted(manifest.members, key=lambda m: m.name == DATABASE_FILE):
            final = data_dir / member.name
            final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            Path(beside, member.name).replace(final)
            _sync_folder(final.parent)
    _sync_folder(data_dir)


def _renumber(database: Path) -> None:
    """Make it another installation than the one it is a copy of."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            number = secrets.randbits(53)
            connection.execute("UPDATE counters SET value = ? WHERE name = 'installation'", (number,))
    except sqlite3.Error as error:
        raise BackupFailed(detail=f"The database in the backup can't be used: {error}") from error


def _copy_checked(source: IO[bytes], target: Path, member: Member) -> None:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if size != member.size_bytes or digest.hexdigest() != member.sha256:
        raise BackupFailed(detail=f"The backup is damaged: {member.name} does not match its checksum.")


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        found = tar.extractfile(name)
    except KeyError:
        found = None
    if found is None:
        raise BackupFailed(detail=f"The backup is not whole: it has no {name}.")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
