"""Objects by key: whole or not at all, checked, set aside; and the folder is that of this database."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from desk import in_threads
from tocsin.kit.errors import StartRefused
from tocsin.storage.database import Database
from tocsin.storage.objects import Folder, NoSuchObject, ObjectInfo, Objects, Stored, check_identity, reading

KEY = "2026-11/0000012345-ab12cd.parquet"
CONTENT = b"PAR1" + bytes(5_112) + b"PAR1"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "segments")


def content(data: bytes = CONTENT) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def keys(objects: Objects) -> list[str]:
    return [one.key for one in objects.keys()]  # noqa: SIM118  # not a mapping


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_put_is_there_whole_and_for_its_owner_only(folder: Folder) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    assert folder.put(KEY, content()) == Stored(len(CONTENT), SHA256)
    with folder.open(KEY) as file:
        assert file.read() == CONTENT
    assert Path(folder.source(KEY)).read_bytes() == CONTENT
    assert folder.verify(KEY, size_bytes=len(CONTENT), sha256=SHA256) is None
    [found] = folder.keys()
    assert (found.key, found.size_bytes) == (KEY, len(CONTENT))
    assert before < found.modified_at < datetime.now(UTC) + timedelta(seconds=5)
    path = Path(folder.source(KEY))
    assert (mode(path), mode(path.parent), mode(folder.path)) == (0o600, 0o700, 0o700)


def test_nothing_is_seen_under_the_key_before_all_is_written(folder: Folder) -> None:
    seen: list[str | None] = []

    def write(path: Path) -> None:
        path.write_bytes(CONTENT[:100])
        assert (path.parent, path.name[:5]) == (Path(folder.source(KEY)).parent, ".tmp-")
        seen.append(folder.version(KEY))
        path.write_bytes(CONTENT)

    folder.put(KEY, write)
    assert seen == [None]
    assert keys(folder) == [KEY]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), ValueError("a bug"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_nothing_and_is_told_as_it_is(folder: Folder, error: BaseException) -> None:
    def write(path: Path) -> None:
        path.write_bytes(CONTENT[:100])
        raise error

    with pytest.raises(type(error)) as raised:
        folder.put(KEY, write)
    assert raised.value is error
    assert keys(folder) == []
    assert folder.version(KEY) is None


def test_a_full_disk_that_a_library_tells_of_in_words_is_the_disk_s_error(folder: Folder) -> None:
    def write(path: Path) -> None:
        path.symlink_to("/dev/full")
        pl.DataFrame({"n": range(1000)}).write_parquet(path)

    with pytest.raises(OSError, match="No space left on device") as raised:
        folder.put(KEY, write)
    assert raised.value.errno == errno.ENOSPC
    assert keys(folder) == []
    assert folder.put(KEY, content()).size_bytes == len(CONTENT)


def test_a_writer_that_writes_nothing_is_an_error(folder: Folder) -> None:
    with pytest.raises(FileNotFoundError):
        folder.put(KEY, lambda _: None)
    assert keys(folder) == []


def test_a_version_changes_with_the_bytes_and_only_then(folder: Folder) -> None:
    assert folder.version(KEY) is None
    folder.put(KEY, content())
    first = folder.version(KEY)
    assert first == folder.version(KEY)
    path = Path(folder.source(KEY))
    with path.open("rb+") as file:
        file.seek(1000)
        file.write(b"!")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # a clock that stood still would hide it
    altered = folder.version(KEY)
    folder.put(KEY, content())
    assert len({first, altered, folder.version(KEY), None}) == 4


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.write_bytes(CONTENT[:2_031]), "2,031 bytes instead of 5,120"),
        (lambda path: path.write_bytes(CONTENT + b"x"), "5,121 bytes instead of 5,120"),
        (lambda path: path.write_bytes(b""), "0 bytes instead of 5,120"),
        (lambda path: path.write_bytes(CONTENT[:-1] + b"!"), "its checksum doesn't match"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: (path.unlink(), path.parent.rmdir(), path.parent.write_bytes(b"in the way")), "missing"),
    ],
)
def test_damage_is_told_in_a_few_words(folder: Folder, damage: Callable[[Path], object], told: str) -> None:
    folder.put(KEY, content())
    damage(Path(folder.source(KEY)))
    assert folder.verify(KEY, size_bytes=len(CONTENT), sha256=SHA256) == told


def test_deleting_what_is_not_there_is_no_error(folder: Folder) -> None:
    folder.put(KEY, content())
    folder.delete(KEY)
    folder.delete(KEY)
    folder.delete("2031-01/never.parquet")
    assert keys(folder) == []
    with pytest.raises(NoSuchObject):
        folder.open(KEY)


def test_leftovers_of_writes_are_listed_so_that_they_can_be_removed(folder: Folder) -> None:
    folder.put(KEY, content())
    leftover = Path(folder.source("2026-11/.tmp-ab12-0000000001.parquet"))
    leftover.write_bytes(b"half")
    assert keys(folder) == ["2026-11/.tmp-ab12-0000000001.parquet", KEY]
    folder.delete("2026-11/.tmp-ab12-0000000001.parquet")
    assert keys(folder) == [KEY]


def test_what_a_backup_is_reading_and_the_identity_are_no_objects(folder: Folder) -> None:
    folder.claim(7)
    folder.put(KEY, content())
    held = folder.path / ".backup-x" / "1.parquet"
    held.parent.mkdir()
    held.write_bytes(b"held")
    assert keys(folder) == [KEY]


def test_a_damaged_object_is_kept_for_a_person_but_no_longer_an_object(folder: Folder) -> None:
    folder.put(KEY, content(b"bad"))
    folder.set_aside(KEY)
    folder.set_aside(KEY)  # another server was at it too
    assert (keys(folder), folder.version(KEY)) == ([], None)
    assert (folder.path / "damaged" / KEY).read_bytes() == b"bad"


def test_what_was_set_aside_goes_with_the_object(folder: Folder) -> None:
    folder.put(KEY, content(b"bad"))
    folder.set_aside(KEY)
    folder.put(KEY, content())  # somebody has mended it
    folder.delete(KEY)
    assert (keys(folder), [path for path in folder.path.rglob("*") if path.is_file()]) == ([], [])


def test_an_object_that_is_not_there_is_one_error_whoever_reads_it(folder: Folder) -> None:
    for read in (lambda: folder.open(KEY), pl.scan_parquet(folder.source(KEY), glob=False).collect):
        with pytest.raises(NoSuchObject), reading():
            read()


@pytest.mark.parametrize("key", ["", ".", "/etc/passwd", "../x", "a/../../x", "a/..", "a//b", "./a", "a/"])
def test_a_key_that_is_none_is_refused(folder: Folder, key: str) -> None:
    for use in (folder.delete, folder.source, folder.version, folder.open, lambda k: folder.put(k, content())):
        with pytest.raises(ValueError, match="not the key of an object"):
            use(key)


def test_a_folder_is_the_protocol(folder: Folder) -> None:
    objects: Objects = folder
    assert objects.put("a", content(b"x")).size_bytes == 1
    assert next(objects.keys()) == ObjectInfo("a", 1, datetime.fromtimestamp((folder.path / "a").stat().st_mtime, UTC))


def test_a_folder_that_can_not_be_made_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartRefused, match=r"file/segments can't be used for log segments: Not a directory"):
        Folder(tmp_path / "file" / "segments")


# Which folder belongs to which database.


def test_a_new_database_and_an_empty_folder_become_one_and_stay_so(database: Database, folder: Folder) -> None:
    assert folder.identity() is None
    check_identity(database, folder, in_use=False)
    number = folder.identity()
    assert number is not None
    for in_use in (False, True):
        check_identity(database, Folder(folder.path), in_use=in_use)
    assert folder.identity() == number
    assert mode(folder.path / "store.json") == 0o600


def test_several_servers_that_start_at_once_agree(database: Database, folder: Folder) -> None:
    outcomes = in_threads(*[lambda: check_identity(database, Folder(folder.path), in_use=False) for _ in range(6)])
    assert outcomes == [None] * 6
    check_identity(database, folder, in_use=True)


def test_another_empty_folder_is_taken_only_while_there_are_no_segments(
    database: Database, folder: Folder, tmp_path: Path
) -> None:
    check_identity(database, folder, in_use=False)
    other = Folder(tmp_path / "other")
    with pytest.raises(StartRefused, match=r"the folder .*/other is not the one they are in.*TOCSIN_SEGMENTS_DIR"):
        check_identity(database, other, in_use=True)
    assert other.identity() is None
    check_identity(database, other, in_use=False)
    assert other.identity() == folder.identity()


@pytest.mark.parametrize("in_use", [False, True])
def test_the_folder_of_another_database_is_refused_and_left_as_it_is(
    database: Database, folder: Folder, tmp_path: Path, in_use: bool
) -> None:
    other = Folder(tmp_path / "other")
    other.claim(1)
    refused = r"/other holds the log segments of another database.*TOCSIN_SEGMENTS_DIR"
    with pytest.raises(StartRefused, match=refused):  # this database has no number yet
        check_identity(database, other, in_use=in_use)
    check_identity(database, folder, in_use=False)
    with pytest.raises(StartRefused, match=refused):
        check_identity(database, other, in_use=in_use)
    assert (other.identity(), folder.identity()) not in {(1, 1), (None, None)}


def test_a_folder_with_files_of_others_is_not_taken(database: Database, folder: Folder) -> None:
    (folder.path / "lost+found").mkdir()
    (folder.path / "holiday").mkdir()
    (folder.path / "holiday" / "beach.jpg").write_bytes(b"mine")
    with pytest.raises(StartRefused, match=r"files that are not Tocsin's, such as holiday/beach\.jpg"):
        check_identity(database, folder, in_use=False)
    (folder.path / "holiday" / "beach.jpg").unlink()
    (folder.path / ".tmp-of-a-start-that-was-cut-off").touch()
    check_identity(database, folder, in_use=False)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"store": "x"}', b"\xff"])
def test_an_identity_that_can_not_be_read_refuses_the_start(database: Database, folder: Folder, content: bytes) -> None:
    (folder.path / "store.json").write_bytes(content)
    with pytest.raises(StartRefused, match=r"store\.json can't be read"):
        check_identity(database, folder, in_use=False)
