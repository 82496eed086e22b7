"""backup and restore: consistent while records are written, checked, and careful with what is there."""

import contextlib
import errno
import io
import json
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running import Load, stored_ids
from sqlalchemy import insert

from desk import info
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import SystemClock
from tocsin.kit.errors import StartRefused
from tocsin.logs.model import segments
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.storage.archive import MAX_MANIFEST_BYTES, BackupFailed
from tocsin.storage.backup import back_up
from tocsin.storage.database import Database, open_database
from tocsin.storage.folder import DataFolder
from tocsin.storage.objects import Folder, check_identity
from tocsin.storage.restore import restore

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def copy(installation: Path, tmp_path: Path) -> Path:
    """A backup."""
    back_up(installation, tmp_path / "copy.tar", now=NOW)
    return tmp_path / "copy.tar"


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        found = [(entry.name, tar.extractfile(entry)) for entry in tar]
        return {name: content.read() for name, content in found if content is not None}


def write_tar(file: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def altered(file: Path, **changes: object) -> None:
    """Write a backup anew with another manifest."""
    content = members(file)
    manifest = {**json.loads(content["manifest.json"]), **changes}
    write_tar(file, {**content, "manifest.json": json.dumps(manifest).encode()})


def test_a_backup_taken_under_load_holds_all_that_was_acknowledged_before_it_began(start, tocsin, open_api, tmp_path):
    server = start()
    load = Load(server)
    load.wait_for(200)
    before = load.snapshot()
    result = tocsin("backup", tmp_path / "copy.tar", "--data", server.data)
    assert (result.code, "copy.tar" in result.out) == (0, True)
    load.wait_for(len(load.snapshot()) + 50)
    load.stop()
    assert load.refused == []
    assert tocsin("restore", tmp_path / "copy.tar", "--data", tmp_path / "restored").code == 0
    again = open_api(Settings(data_dir=tmp_path / "restored"))
    assert before.keys() <= stored_ids(again)
    ticket_of = {alert["service"]: alert["ticket_id"] for alert in again.get("/alerts?limit=1000").json()["items"]}
    for service in {service for service in before.values() if service.startswith("bad-")}:
        assert again.get(f"/tickets/{ticket_of[service]}").json()["service"] == service
    after = again.post("/logs", json={"message": "life goes on"})
    assert (after.status_code, after.json()["id"] > max(before)) == (201, True)


def test_a_backup_is_one_file_for_its_owner_with_a_manifest_first(copy, tmp_path):
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    content = members(copy)
    assert list(content) == ["manifest.json", "tocsin.db"]
    manifest = json.loads(content["manifest.json"])
    assert (manifest["format"], manifest["created_at"]) == (1, "2026-11-24T00:00:00Z")
    assert manifest["members"][0]["size_bytes"] == len(content["tocsin.db"])
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.tar"]


def test_a_backup_copies_one_snapshot_though_another_connection_commits_meanwhile(installation, tmp_path):
    with contextlib.closing(sqlite3.connect(installation / "tocsin.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE filler (n INTEGER, x BLOB)")
        writer.execute(
            "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 9000) "
            "INSERT INTO filler SELECT n, randomblob(4000) FROM c"
        )
        steps: list[tuple[int, int]] = []

        def progress(done: int, total: int) -> None:
            steps.append((done, total))
            assert len(steps) < 20, "the copy starts again at every commit"
            writer.execute("DELETE FROM filler WHERE n > 10")
            writer.execute("INSERT INTO filler VALUES (0, NULL)")

        back_up(installation, tmp_path / "copy.tar", now=NOW, progress=progress)
        assert writer.execute("SELECT count(*) FROM filler WHERE n = 0").fetchone() == (len(steps),)
    assert len(steps) > 1
    assert steps[-1][0] == steps[-1][1]
    restore(tmp_path / "copy.tar", tmp_path / "restored")
    with contextlib.closing(sqlite3.connect(tmp_path / "restored" / "tocsin.db")) as found:
        assert found.execute("SELECT count(*), min(n) FROM filler").fetchone() == (9000, 1)


def test_an_existing_file_is_replaced_only_by_force(copy, installation, tocsin):
    was = copy.read_bytes()
    refused = tocsin("backup", copy, "--data", installation)
    assert (refused.code, refused.err) == (1, f"tocsin: {copy} exists already; --force replaces it.\n")
    assert copy.read_bytes() == was
    assert tocsin("backup", copy, "--data", installation, "--force").code == 0
    assert copy.read_bytes() != was


def test_where_no_installation_is_there_is_nothing_to_back_up(tmp_path, tocsin):
    result = tocsin("backup", tmp_path / "copy.tar", "--data", tmp_path)
    assert (result.code, "There is no installation" in result.err) == (1, True)
    (tmp_path / "tocsin.db").touch()
    assert "The database is empty" in tocsin("backup", tmp_path / "copy.tar", "--data", tmp_path).err
    (tmp_path / "tocsin.db").write_bytes(b"no database at all, that is sure" * 400)
    assert "file is not a database" in tocsin("backup", tmp_path / "copy.tar", "--data", tmp_path).err
    assert "does not exist" in tocsin("backup", tmp_path / "none" / "copy.tar", "--data", tmp_path).err
    assert not list(tmp_path.glob("*copy*"))


def test_a_restored_folder_opens_at_the_same_revision(copy, tmp_path):
    manifest = restore(copy, tmp_path / "restored")
    database = open_database(None, tmp_path / "restored", clock=SystemClock(), routes={})
    assert schema.revision_of(database.dialect.writers) == manifest.schema_revision
    database.close()
    assert sorted(path.name for path in (tmp_path / "restored").iterdir()) == ["tocsin.db", "tocsin.lock"]


def test_a_restored_database_is_another_installation(copy, installation, tmp_path):
    names = set()
    for folder in (installation, tmp_path / "restored", tmp_path / "again"):
        if folder != installation:
            restore(copy, folder)
        database = open_database(None, folder, clock=SystemClock(), routes={})
        names.add(schema.installation(database))
        database.close()
    assert len(names) == 3


def test_a_folder_with_an_installation_or_anything_else_is_not_restored_into(copy, installation, tmp_path):
    with pytest.raises(BackupFailed, match="has an installation already"):
        restore(copy, installation)
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(BackupFailed, match=r"not empty \(it has notes.txt\)"):
        restore(copy, other)
    assert [path.name for path in other.iterdir()] == ["notes.txt"]
    with pytest.raises(BackupFailed, match="not a folder"):
        restore(copy, other / "notes.txt")


def test_a_folder_that_a_server_is_starting_on_is_not_restored_into(copy, tmp_path, tocsin):
    folder = DataFolder(tmp_path / "restored")
    result = tocsin("restore", copy, "--data", tmp_path / "restored")
    folder.close()
    assert (result.code, "is in use by another Tocsin server" in result.err) == (1, True)


def test_a_backup_of_a_newer_program_is_refused(copy, tmp_path):
    altered(copy, schema_revision="9999", program_version="9.1")
    with pytest.raises(BackupFailed, match=r"revision 9999, which is newer .* with Tocsin 9\.1 or later"):
        restore(copy, tmp_path / "restored")
    altered(copy, format=2)
    with pytest.raises(BackupFailed, match="in format 2, which is newer"):
        restore(copy, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_damaged_backup_is_refused_and_leaves_nothing_behind(copy, tmp_path):
    content = members(copy)
    content["tocsin.db"] = content["tocsin.db"][:-1] + b"!"
    write_tar(copy, content)
    with pytest.raises(BackupFailed, match=r"tocsin\.db does not match its checksum"):
        restore(copy, tmp_path / "restored")
    assert [path.name for path in (tmp_path / "restored").iterdir()] == ["tocsin.lock"]


@pytest.mark.parametrize("keep", [0, 100, 600, 20_000])
def test_a_backup_that_was_cut_short_is_refused_in_one_line(copy, tmp_path, tocsin, keep):
    copy.write_bytes(copy.read_bytes()[:keep])
    result = tocsin("restore", copy, "--data", tmp_path / "restored")
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert "backup" in result.err
    assert not (tmp_path / "restored" / "tocsin.db").exists()


def test_a_backup_may_have_further_members_in_folders(copy, tmp_path):
    content = members(copy)
    manifest = json.loads(content["manifest.json"])
    manifest["members"].append(
        {
            "name": "segments/1.parquet",
            "size_bytes": 4,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }
    )
    more = {**content, "manifest.json": json.dumps(manifest).encode(), "segments/1.parquet": b"test"}
    write_tar(copy, more)
    restore(copy, tmp_path / "restored")
    assert (tmp_path / "restored" / "segments" / "1.parquet").read_bytes() == b"test"
    del more["segments/1.parquet"]
    write_tar(copy, more)
    with pytest.raises(BackupFailed, match=r"it has no segments/1\.parquet"):
        restore(copy, tmp_path / "again")


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "tocsin.lock", ""])
def test_a_member_that_lies_outside_of_the_folder_is_refused(copy, tmp_path, name):
    altered(copy, members=[{"name": name, "size_bytes": 0, "sha256": ""}])
    with pytest.raises(BackupFailed, match="lies outside"):
        restore(copy, tmp_path / "restored")


def test_a_member_that_is_a_link_is_refused(copy, tmp_path):
    content = members(copy)
    with tarfile.open(copy, "w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(content["manifest.json"])
        tar.addfile(entry, io.BytesIO(content["manifest.json"]))
        link = tarfile.TarInfo("tocsin.db")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    with pytest.raises(BackupFailed):
        restore(copy, tmp_path / "restored")


# Log segments: files beside the database, named by its catalogue.

NO_LINKS = [False, True]


@contextlib.contextmanager
def opened(data: Path) -> Iterator[Database]:
    database = open_database(None, data, clock=SystemClock(), routes={})
    yield database
    database.close()


def add_segment(data: Path, folder: Folder, number: int, *, damaged: bool = False) -> str:
    """A segment in the catalogue and its object; the key."""
    key = f"2026-{number % 12 + 1:02d}/{number:016d}-ab12cd34.parquet"
    content = f"PAR1 {number} ".encode() * 1000
    stored = folder.put(key, lambda path: path.write_bytes(content) and None)
    row = {
        "key": key,
        "first_id": number,
        "last_id": number,
        "records": 1,
        "raw_bytes": len(content),
        "size_bytes": stored.size_bytes,
        "sha256": stored.sha256,
        **dict.fromkeys(["min_at", "max_at", "created_at"], NOW),
        "severities": 0,
        "services": {},
        "layout": {},
        "raw_rows": 0,
        "stray": False,
        "damaged_at": NOW if damaged else None,
        "damage": "missing" if damaged else None,
    }
    with opened(data) as database:
        database.write(lambda tx: tx.execute(insert(segments), row), actor=SYSTEM)
    return key


@pytest.fixture
def folder(installation: Path) -> Folder:
    """Where an installation has its segments."""
    found = Folder(installation / "segments")
    with opened(installation) as database:
        check_identity(database, found, in_use=False)
    return found


@pytest.fixture(params=NO_LINKS, ids=["links", "copies"])
def _links_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems with and without hard links."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param:
        monkeypatch.setattr(os, "link", refuse)


def restored_files(data: Path) -> dict[str, bytes]:
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in data.rglob("*.parquet")}


@pytest.mark.usefixtures("_links_or_not")
def test_segments_come_back_with_the_database(installation, folder, tmp_path):
    keys = [add_segment(installation, folder, number) for number in range(1, 30)]
    manifest = back_up(installation, tmp_path / "copy.tar", now=NOW)
    names = ["tocsin.db", *(f"segments/{key}" for key in sorted(keys)), "segments/store.json"]
    assert list(members(tmp_path / "copy.tar")) == ["manifest.json", *names]
    assert [member.name for member in manifest.members] == names
    restored = tmp_path / "restored"
    assert restore(tmp_path / "copy.tar", restored) == manifest
    assert restored_files(restored) == restored_files(installation)
    assert len(restored_files(restored)) == 29
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (restored / "segments").rglob("*") if path.is_dir()}
    assert modes == {0o700}
    assert stat.S_IMODE((restored / "segments").stat().st_mode) == 0o700
    assert stat.S_IMODE((restored / "segments" / keys[0]).stat().st_mode) == 0o600
    with opened(restored) as database:
        check_identity(database, Folder(restored / "segments"), in_use=True)
    assert not list(folder.path.glob(".backup-*"))


def test_a_restored_installation_can_not_be_started_on_the_segments_of_the_original(installation, folder, tmp_path):
    add_segment(installation, folder, 1)
    back_up(installation, tmp_path / "copy.tar", now=NOW)
    restore(tmp_path / "copy.tar", tmp_path / "restored")
    with opened(tmp_path / "restored") as database:
        with pytest.raises(StartRefused, match="segments of another database"):
            check_identity(database, folder, in_use=True)
    with opened(installation) as database:
        check_identity(database, folder, in_use=True)


@pytest.mark.usefixtures("_links_or_not")
def test_files_that_a_server_removes_while_the_backup_runs_are_in_it(installation, folder, tmp_path):
    for number in range(1, 20):
        add_segment(installation, folder, number)
    with contextlib.closing(sqlite3.connect(installation / "tocsin.db")) as connection:
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(40000000) AS x")
        connection.commit()
    before = restored_files(installation)
    told: list[tuple[int, int]] = []

    def remove_all(done: int, total: int) -> None:
        if not told:
            for found in list(folder.keys()):
                folder.delete(found.key)
            with contextlib.closing(sqlite3.connect(installation / "tocsin.db", isolation_level=None)) as connection:
                connection.execute("DELETE FROM segments")
        told.append((done, total))

    back_up(installation, tmp_path / "copy.tar", now=NOW, progress=remove_all)
    assert len(told) > 2
    assert not restored_files(installation)
    restore(tmp_path / "copy.tar", tmp_path / "restored")
    assert restored_files(tmp_path / "restored") == before
    with contextlib.closing(sqlite3.connect(tmp_path / "restored" / "tocsin.db")) as connection:
        assert connection.execute("SELECT count(*) FROM segments").fetchone() == (19,)


def test_progress_covers_all_bytes_that_are_copied_and_packed(installation, folder, tmp_path):
    add_segment(installation, folder, 1)
    told: list[tuple[int, int]] = []
    manifest = back_up(installation, tmp_path / "copy.tar", now=NOW, progress=lambda *at: told.append(at))
    [size] = [member.size_bytes for member in manifest.members if member.name == "tocsin.db"]
    assert told[-1] == (manifest.size_bytes + size,) * 2
    restore(tmp_path / "copy.tar", tmp_path / "restored", progress=lambda *at: told.append(at))
    assert told[-1] == (manifest.size_bytes,) * 2


def test_segments_that_were_set_aside_are_not_in_a_backup(installation, folder, tmp_path):
    lost, aside, sound = (add_segment(installation, folder, n, damaged=n < 3) for n in (1, 2, 3))
    folder.delete(lost)
    folder.set_aside(aside)
    back_up(installation, tmp_path / "copy.tar", now=NOW)
    restore(tmp_path / "copy.tar", tmp_path / "restored")
    assert list(restored_files(tmp_path / "restored")) == [f"segments/{sound}"]
    with contextlib.closing(sqlite3.connect(tmp_path / "restored" / "tocsin.db")) as connection:
        assert connection.execute("SELECT count(*), count(damaged_at) FROM segments").fetchone() == (3, 2)


@pytest.mark.usefixtures("_links_or_not")
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), r"it has [\d,]+ bytes instead of [\d,]+"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "its checksum doesn't match"),
    ],
)
def test_a_segment_that_is_not_what_the_catalogue_says_fails_the_backup_by_name(
    installation: Path, folder: Folder, tmp_path: Path, damage: Callable[[Path], object], told: str
) -> None:
    add_segment(installation, folder, 1)
    key = add_segment(installation, folder, 2)
    damage(folder.path / key)
    with pytest.raises(BackupFailed, match=rf"The log segment {key} can't be backed up: .*{told}"):
        back_up(installation, tmp_path / "copy.tar", now=NOW)
    assert not list(tmp_path.glob("*copy*"))
    assert not list(folder.path.glob(".backup-*"))


def test_segments_that_lie_elsewhere_are_found_by_their_setting(installation, tmp_path, tocsin, monkeypatch):
    folder = Folder(tmp_path / "big" / "disk")
    key = add_segment(installation, folder, 1)
    refused = tocsin("backup", tmp_path / "copy.tar", "--data", installation)
    assert refused.code == 1
    assert f"{installation}/segments/{key} is missing (TOCSIN_SEGMENTS_DIR says where segments are)" in refused.err
    monkeypatch.setenv("TOCSIN_SEGMENTS_DIR", str(folder.path))
    assert tocsin("backup", tmp_path / "copy.tar", "--data", installation).code == 0
    assert tocsin("restore", tmp_path / "copy.tar", "--data", tmp_path / "restored").code == 0
    assert list(restored_files(tmp_path / "restored")) == [f"segments/{key}"]


def test_what_a_killed_backup_left_is_removed_after_days_and_not_while_another_may_run(installation, folder, tmp_path):
    now = datetime.now(UTC)
    for name, age in (("old", timedelta(days=3)), ("young", timedelta(hours=30))):
        left = folder.path / f".backup-{name}"
        left.mkdir()
        (left / "00000001").write_bytes(b"held")
        os.utime(left, times=((now - age).timestamp(),) * 2)
    back_up(installation, tmp_path / "copy.tar", now=now)
    assert [path.name for path in folder.path.glob(".backup-*")] == [".backup-young"]


def test_a_database_of_the_program_before_segments_can_be_backed_up(installation, tmp_path):
    with contextlib.closing(sqlite3.connect(installation / "tocsin.db")) as connection:
        connection.execute("DROP TABLE segments")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    manifest = back_up(installation, tmp_path / "copy.tar", now=NOW)
    assert manifest.schema_revision == "0001"
    assert restore(tmp_path / "copy.tar", tmp_path / "restored") == manifest


def test_a_manifest_has_room_for_hundreds_of_thousands_of_segments(installation, folder, tmp_path):
    for number in range(1, 21):
        add_segment(installation, folder, number)
    back_up(installation, tmp_path / "copy.tar", now=NOW)
    each = len(members(tmp_path / "copy.tar")["manifest.json"]) / 20
    assert each * 200_000 < MAX_MANIFEST_BYTES


def test_a_restored_database_can_give_space_back_as_the_original(copy, tmp_path):
    restore(copy, tmp_path / "restored")
    with contextlib.closing(sqlite3.connect(tmp_path / "restored" / "tocsin.db")) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_a_shared_database_is_backed_up_by_its_own_tools_and_its_segments_by_name(tmp_path, tocsin, monkeypatch):
    monkeypatch.setenv("TOCSIN_DATABASE_URL", "postgresql://db/tocsin")
    monkeypatch.setenv("TOCSIN_SEGMENTS_DIR", "/srv/segments")
    result = tocsin("backup", tmp_path / "copy.tar")
    assert (result.code, "pg_dump, and right after it copy the folder /srv/segments" in result.err) == (2, True)


def test_logs_in_segments_are_found_in_a_restored_installation(installation, folder, open_desk, open_api, tmp_path):
    desk = open_desk(Settings(data_dir=installation))
    desk.post(*[info(f"request {n}") for n in range(50)])
    desk.compact(records=20)
    desk.post(info("still hot"))
    before = {record.id: record.message for record in desk.logs}
    manifest = back_up(installation, tmp_path / "copy.tar", now=NOW)
    assert len([member for member in manifest.members if member.name.endswith(".parquet")]) == 3
    restore(tmp_path / "copy.tar", tmp_path / "restored")
    api = open_api(Settings(data_dir=tmp_path / "restored"))
    found = api.get("/logs?limit=1000").json()
    assert {record["id"]: record["message"] for record in found["items"]} == before
