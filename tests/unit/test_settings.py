"""Settings: keys from variables and files, and what is told of those that are wrong."""

from pathlib import Path

import pytest

from tocsin.settings import Settings, read_settings

KEY = "correct horse battery staple"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


@pytest.mark.parametrize("name", ["admin_key", "database_url"])
@pytest.mark.parametrize("content", ["", "  \n\t"])
def test_a_file_that_is_named_but_empty_is_an_error_that_names_the_setting(file: Path, name: str, content: str) -> None:
    file.write_text(content)
    with pytest.raises(ValueError, match=f"TOCSIN_{name.upper()}_FILE names an empty file"):
        read_settings(**{f"{name}_file": file})


@pytest.mark.parametrize("name", ["admin_key", "database_url"])
def test_a_file_that_can_not_be_read_is_an_error_that_names_the_setting(file: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"TOCSIN_{name.upper()}_FILE can't be read: No such file"):
        read_settings(**{f"{name}_file": file})


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_variable_falls_through_to_the_file(file: Path, monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    file.write_text(f" {KEY}\n")
    monkeypatch.setenv("TOCSIN_ADMIN_KEY", empty)
    assert read_settings().admin_secret is None
    assert read_settings(admin_key_file=file).admin_secret == KEY


def test_a_variable_comes_before_the_file_and_is_stripped(file: Path) -> None:
    file.write_text("another key that is long enough")
    assert Settings(admin_key=f" {KEY} \n", admin_key_file=file).admin_secret == KEY


@pytest.mark.parametrize("key", ["short", "fifteen chars" + " " * 10])
def test_a_key_is_measured_without_the_blanks_around_it_and_never_shown(file: Path, key: str) -> None:
    file.write_text(key)
    for settings in ({"admin_key": key}, {"admin_key_file": file}):
        with pytest.raises(ValueError, match="shorter than 16 characters") as raised:
            read_settings(**settings)
        assert "short" not in str(raised.value).replace("shorter", "")
        assert "fifteen" not in str(raised.value)


def test_a_value_that_is_wrong_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_QUEUE_BYTES", "hunter2")
    with pytest.raises(ValueError, match="queue_bytes") as raised:
        read_settings()
    assert "hunter2" not in str(raised.value)


def test_segments_lie_in_the_data_folder_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(data_dir="/data").segments_path == Path("/data/segments")
    assert Settings(data_dir="/data", segments_dir="/big").segments_path == Path("/big")
    for empty in ("", "  "):
        monkeypatch.setenv("TOCSIN_SEGMENTS_DIR", empty)
        assert read_settings(data_dir="/data").segments_path == Path("/data/segments")


@pytest.mark.parametrize("seconds", ["0", "0.05", "301", "nan", "soon"])
def test_a_search_takes_some_time_but_not_for_ever(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("TOCSIN_SEARCH_SECONDS", seconds)
    with pytest.raises(ValueError, match="search_seconds"):
        read_settings()
