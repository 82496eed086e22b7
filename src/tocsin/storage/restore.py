"""A data folder from a backup, each member checked before the first takes its place.

What is restored is another installation: its database gets a new random number, so that a client which remembers what
it sent to the original (`tocsin import`) doesn't take that for what the restored one has; and its store of segments
gets one, so that it can't be started on the segments of the original, where it would remove what it doesn't know.
"""

import json
import os
import secrets
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from tocsin.storage.archive import (
    FORMAT,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    STORE_MEMBER,
    BackupFailed,
    Checked,
    Manifest,
    Member,
    Meter,
    Progress,
    sync_folder,
)
from tocsin.storage.database import DATABASE_FILE
from tocsin.storage.folder import LOCK_FILE, DataFolder
from tocsin.storage.objects import STORE, identity_content
from tocsin.storage.schema import known_revisions

_BLOCK_BYTES: Final = 1 << 20


class _Archive:
    """The members of a tar file by name: the tar file itself would look through all of them for each."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._entries = {entry.name: entry for entry in tar}

    def open(self, name: str) -> IO[bytes]:
        """A member's bytes. Raises BackupFailed."""
        entry = self._entries.get(name)
        found = self._tar.extractfile(entry) if entry is not None and entry.isreg() else None
        if found is None:
            raise BackupFailed(detail=f"The backup is not whole: it has no {name}.")
        return found


def restore(file: Path, data_dir: Path, *, progress: Progress | None = None) -> Manifest:
    """Set up `data_dir`, which must be empty or new, from a backup; a server can then be started on it.

    Every member is checked before the first takes its place, and the database gets a new number of the installation.
    Raises BackupFailed, StartRefused (folder in use).
    """
    with _opened(file) as archive:
        manifest = _read_manifest(archive, file)
        _check_fits(manifest, file)
        _check_empty(data_dir)
        folder = DataFolder(data_dir)
        try:
            _check_empty(data_dir)
            _unpack(archive, manifest, data_dir, progress)
        finally:
            folder.close()
    return manifest


@contextmanager
def _opened(file: Path) -> Iterator[_Archive]:
    try:
        with tarfile.open(file, mode="r:") as tar:
            yield _Archive(tar)
    except (tarfile.TarError, EOFError) as error:
        raise BackupFailed(detail=f"{file} is not a whole backup: {error}") from error


def _read_manifest(archive: _Archive, file: Path) -> Manifest:
    try:
        content: Any = json.loads(archive.open(MANIFEST).read(MAX_MANIFEST_BYTES))
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


def _unpack(archive: _Archive, manifest: Manifest, data_dir: Path, progress: Progress | None) -> None:
    meter = Meter(progress, manifest.size_bytes)
    with tempfile.TemporaryDirectory(prefix=".restoring.", dir=data_dir) as beside:
        for member in manifest.members:
            _make_folders(Path(beside), member)
            _copy_checked(archive.open(member.name), Path(beside, member.name), member, meter)
        _renumber(Path(beside))
        # The database comes last: without it a folder is no installation, so a half-done restore can't be started.
        _move([member for member in manifest.members if member.name != DATABASE_FILE], Path(beside), data_dir)
        _move([member for member in manifest.members if member.name == DATABASE_FILE], Path(beside), data_dir)


def _move(members: Sequence[Member], source: Path, target: Path) -> None:
    """Move files, durably, with a sync for each folder and not for each file."""
    folders = {target}
    for member in members:
        folders |= _make_folders(target, member)
        Path(source, member.name).replace(target / member.name)
    for folder in folders:
        sync_folder(folder)


def _make_folders(root: Path, member: Member) -> set[Path]:
    """The folders below `root` that a member lies in, which only their owner may enter."""
    folders = [root / folder for folder in PurePosixPath(member.name).parents][:-1]
    for folder in reversed(folders):
        folder.mkdir(exist_ok=True, mode=0o700)
    return set(folders)


def _renumber(folder: Path) -> None:
    """Make it another installation than the one it is a copy of, with a store of segments of its own."""
    database, store = folder / DATABASE_FILE, folder / STORE_MEMBER
    if not database.exists():
        return
    numbers = {"installation": secrets.randbits(53)}
    if store.exists():
        numbers[STORE] = secrets.randbits(53)
        _rewrite(store, identity_content(numbers[STORE]))
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            rows = [(number, name) for name, number in numbers.items()]
            connection.executemany("UPDATE counters SET value = ? WHERE name = ?", rows)
    except sqlite3.Error as error:
        raise BackupFailed(detail=f"The database in the backup can't be used: {error}") from error


def _rewrite(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _copy_checked(source: IO[bytes], target: Path, member: Member, meter: Meter) -> None:
    checked, size = Checked(source, meter), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while block := checked.read(_BLOCK_BYTES):
            size += len(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if size != member.size_bytes or checked.sha256 != member.sha256:
        raise BackupFailed(detail=f"The backup is damaged: {member.name} does not match its checksum.")
