"""Rules about files: no addresses in lock files, no paths of one machine, a changelog that knows the version."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from tocsin import __version__

ROOT = Path(__file__).parents[2]
ORDINARY = {Path("/"), Path(tempfile.gettempdir()), Path("/root"), Path("/home"), Path("/opt"), Path("/srv")}
BINARY = {".gz", ".zst", ".png", ".ico", ".woff2"}


def tracked() -> list[Path]:
    """Every file that is in the repository or about to be."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def personal_folders() -> re.Pattern[str]:
    """Where this copy lies, the folder around it, and anybody's home."""
    here = [str(folder) for folder in (ROOT, ROOT.parent, Path.home()) if folder not in ORDINARY]
    names = "|".join([*map(re.escape, here), r"/(?:home|Users)/[a-z][\w.-]*"])
    return re.compile(rf"(?<![\w.~-])(?:{names})/")


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements*.lock")), ids=lambda path: path.name)
def test_lock_files_hold_hashes_and_no_addresses(path):
    text = path.read_text()
    assert "://" not in text
    requirements = re.findall(r"^[A-Za-z0-9].*$", text, re.MULTILINE)
    assert len(requirements) == len(
        re.findall(r"^[A-Za-z0-9][^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    )


def test_no_lock_file_with_addresses_is_tracked():
    assert {path.name for path in tracked()}.isdisjoint({"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock"})


def test_no_file_names_a_folder_of_one_machine():
    personal = personal_folders()
    files = [path for path in tracked() if path.suffix not in BINARY]
    assert len(files) > 50
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if personal.search(line)
    ]
    assert found == []


def test_the_changelog_knows_this_version():
    assert re.search(rf"^## \[?{re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_make_help_names_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    described = set(re.findall(r"^([a-z]+):[^#\n]*## \S", makefile, re.MULTILINE))
    assert targets == described >= {"setup", "run", "test", "check", "docs", "bench", "lock"}
