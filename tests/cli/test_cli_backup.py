"""backup and restore: consistent while records are written, checked, and careful with what is there."""

import contextlib
import io
import json
import sqlite3
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running import Load, stored_ids

from tocsin.kit.clock import SystemClock
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.storage.archive import BackupFailed
from tocsin.storage.backup import back_up
from tocsin.storage.database import open_database
from tocsin.storage.folder import DataFolder
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
