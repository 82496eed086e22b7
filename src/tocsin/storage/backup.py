"""Backups of an embedded installation, made while its server runs. For their form see `archive`."""

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tocsin import __version__
from tocsin.kit.clock import iso
from tocsin.storage.archive import (
    FORMAT,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SEGMENTS,
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
from tocsin.storage.dialects import BUSY_TIMEOUT_MS
from tocsin.storage.held import Held, holding
from tocsin.storage.objects import IDENTITY_FILE, STORE, identity_content

_STEP_PAGES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What a database was when it was copied. `files` are where its segments can be read."""

    revision: str
    size_bytes: int
    store: int | None
    files: Mapping[Path, Member]


def back_up(
    data_dir: Path,
    file: Path,
    *,
    now: datetime,
    segments_dir: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Write a consistent copy of the installation in `data_dir` to `file`, whether or not a server is using it.

    `segments_dir` is where its log segments are, in the data folder by default. Needs room for the database twice and
    for the segments once beside `file` until it is done. `progress` hears bytes done and bytes to do: the database is
    copied and then packed, segments are packed. Raises BackupFailed; an existing `file` stays as it was until the new
    one is complete and on the disk.
    """
    database = data_dir / DATABASE_FILE
    if not database.is_file():
        raise BackupFailed(detail=f"There is no installation in {data_dir}: it has no {DATABASE_FILE}.")
    _check_target(file, overwrite)
    meter = Meter(progress)
    with (
        tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as beside,
        holding(segments_dir or data_dir / SEGMENTS, copies=Path(beside), now=now) as held,
    ):
        copy = Path(beside, DATABASE_FILE)
        snapshot = _copy_database(database, copy, held, meter)
        members = {copy: Member(DATABASE_FILE, snapshot.size_bytes, _sha256(copy)), **snapshot.files}
        if snapshot.store is not None:
            identity = Path(beside, IDENTITY_FILE)
            identity.write_bytes(identity_content(snapshot.store))
            members[identity] = Member(STORE_MEMBER, identity.stat().st_size, _sha256(identity))
            meter.total += members[identity].size_bytes
        manifest = Manifest(FORMAT, __version__, snapshot.revision, iso(now), tuple(members.values()))
        packed = Path(beside, "backup.tar")
        _pack(packed, manifest, members, meter)
        _check_target(file, overwrite)
        packed.replace(file)
    sync_folder(file.parent)
    return manifest


def _check_target(file: Path, overwrite: bool) -> None:
    if not file.parent.is_dir():
        raise BackupFailed(detail=f"The folder {file.parent} does not exist.")
    if file.is_dir():
        raise BackupFailed(detail=f"{file} is a folder; name a file in it.")
    if file.exists() and not overwrite:
        raise BackupFailed(detail=f"{file} exists already; --force replaces it.")


def _copy_database(source: Path, target: Path, held: Held, meter: Meter) -> _Snapshot:
    """Copy one snapshot of a database page by page, and hold the segments it names; then check the copy.

    The snapshot is held by an open read transaction, so commits meanwhile neither wait nor start the copy again. Its
    segments are held before the long copy: the server removes those it has replaced or let go of a while later.
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
            snapshot = _look_at(live, held)
            meter.total = 2 * snapshot.size_bytes + sum(member.size_bytes for member in snapshot.files.values())
            _copy_pages(live, copy, snapshot, meter)
            live.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode=DELETE")  # one file that needs no other beside it
            [verdict] = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BackupFailed(detail=f"{source} can't be copied: {error}") from error
    if verdict != "ok":
        raise BackupFailed(detail=f"{source} is damaged: {verdict}")
    return snapshot


def _look_at(live: sqlite3.Connection, held: Held) -> _Snapshot:
    revision = _revision(live)
    [page_bytes] = live.execute("PRAGMA page_size").fetchone()
    [pages] = live.execute("PRAGMA page_count").fetchone()
    store = live.execute("SELECT value FROM counters WHERE name = ?", (STORE,)).fetchone()
    files: dict[Path, Member] = {}
    if live.execute("SELECT 1 FROM sqlite_master WHERE name = 'segments'").fetchone():  # not before revision 0002
        named = live.execute("SELECT key, size_bytes, sha256 FROM segments WHERE damaged_at IS NULL ORDER BY key")
        files = {_hold(held, row[0]): Member(f"{SEGMENTS}/{row[0]}", row[1], row[2]) for row in named}
    return _Snapshot(revision, pages * page_bytes, store and store[0], files)


def _hold(held: Held, key: str) -> Path:
    try:
        return held.take(key)
    except FileNotFoundError as error:
        raise _lost(key, f"{error.filename} is missing (TOCSIN_SEGMENTS_DIR says where segments are)") from error


def _lost(key: str, reason: str) -> BackupFailed:
    return BackupFailed(
        detail=f"The log segment {key} can't be backed up: {reason}. A server sets it aside when it comes upon it; "
        "backups then go on without."
    )


def _copy_pages(live: sqlite3.Connection, copy: sqlite3.Connection, snapshot: _Snapshot, meter: Meter) -> None:
    copy.execute("PRAGMA synchronous=OFF")  # it becomes durable as part of the tar file

    def step(_status: int, remaining: int, total: int) -> None:
        meter.add(snapshot.size_bytes * (total - remaining) // total - meter.done)

    live.backup(copy, pages=_STEP_PAGES, progress=step, sleep=0)


def _revision(connection: sqlite3.Connection) -> str:
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    if found is None:
        raise BackupFailed(detail="The database is empty: no server has set it up yet.")
    return str(found[0])


def _pack(packed: Path, manifest: Manifest, members: Mapping[Path, Member], meter: Meter) -> None:
    content = json.dumps(asdict(manifest), indent=2).encode() + b"\n"
    if len(content) > MAX_MANIFEST_BYTES:
        raise BackupFailed(detail=f"There are too many log segments for one backup: {len(members):,}.")
    descriptor = os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(_entry(MANIFEST, len(content)), io.BytesIO(content))
            for path, member in members.items():
                _pack_member(tar, path, member, meter)
        file.flush()
        os.fsync(file.fileno())


def _pack_member(tar: tarfile.TarFile, path: Path, member: Member, meter: Meter) -> None:
    """Add a file whose size and checksum are known, unless it has others."""
    key = member.name.removeprefix(f"{SEGMENTS}/")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != member.size_bytes:
            raise _lost(key, f"it has {size:,} bytes instead of {member.size_bytes:,}")
        source = Checked(file, meter)
        tar.addfile(_entry(member.name, member.size_bytes), source)
    if source.sha256 != member.sha256:
        raise _lost(key, "its checksum doesn't match")


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, 0o600
    return entry


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
