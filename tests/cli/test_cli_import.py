"""`tocsin import`: what goes in comes out once, whatever the form, and an interrupted import goes on."""

import gzip
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import zstandard
from running import RunningServer, command, environment

LOGHUB = Path(__file__).parents[2].parent / "shared" / "data" / "loghub"
TEXT = """\
2026-11-20 10:00:00,100 INFO  [main] shop.Cart: cart 17 has 3 items
2026-11-20 10:00:01,200 ERROR [main] shop.Cart: cannot reach orders
java.net.ConnectException: refused
    at shop.Cart.post(Cart.java:88)
2026-11-20 10:00:02,300 FATAL [main] shop.Cart: giving up after 3 attempts
"""


@pytest.fixture
def imports(tocsin: Any, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `tocsin import ... --json` with a memory of its own and gives back the summary."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TOCSIN_URL", server.url)

    def call(*args: object, code: int = 0) -> dict[str, Any]:
        result = tocsin("import", *args, "--json")
        assert result.code == code, result.err
        return json.loads(result.out) if result.out else {}

    return call


@pytest.fixture
def stored(server: RunningServer) -> Callable[[str], list[dict[str, Any]]]:
    def find(service: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            params = {"service": service, "limit": "1000", **({"cursor": cursor} if cursor else {})}
            page = httpx2.get(f"{server.url}/logs", params=params).json()
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    return find


def lines(count: int, service: str) -> Iterator[bytes]:
    for n in range(count):
        record = {"message": f"line {n}", "service": service, "level": "INFO", "attributes": {"n": n}}
        yield json.dumps(record).encode() + b"\n"


def test_text_goes_in_with_its_levels_times_and_stack_traces(imports: Any, stored: Any, tmp_path: Path) -> None:
    file = tmp_path / "shop-text.log"
    file.write_text(TEXT)

    [summary] = imports(file)["files"]
    records = stored("shop-text")

    assert summary["accepted"] == 3
    assert summary["levels"] == {"INFO": 1, "ERROR": 1, "CRITICAL": 1}
    assert [r["level"] for r in records] == ["CRITICAL", "ERROR", "INFO"]
    assert records[0]["timestamp"] == "2026-11-20T10:00:02.300000Z"
    assert "Cart.java:88" in records[1]["message"]
    assert all(r["backfill"] and r["source"] == "import:shop-text.log" for r in records)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress, bytes])
def test_json_lines_pass_through_untouched_also_compressed(
    imports: Any, stored: Any, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    service = f"packed-{compress.__name__}-{os.urandom(3).hex()}"
    file = tmp_path / "app.jsonl.packed"
    file.write_bytes(compress(b"".join(lines(5000, service))))

    [summary] = imports(file)["files"]

    assert (summary["accepted"], summary["rejected"]) == (5000, 0)
    assert Counter(r["attributes"]["n"] for r in stored(service)) == Counter(range(5000))


def test_a_second_run_imports_nothing_and_a_grown_file_only_what_is_new(
    imports: Any, stored: Any, tmp_path: Path
) -> None:
    file = tmp_path / "grown.jsonl"
    file.write_bytes(b"".join(lines(100, "grown")))
    imports(file)
    again = imports(file)["files"][0]
    with file.open("ab") as more:
        more.writelines(list(lines(130, "grown"))[100:])
    grown = imports(file)["files"][0]

    assert (again["accepted"], again["complete_before"]) == (0, True)
    assert grown["accepted"] == 30
    assert len(stored("grown")) == 130


def test_another_file_under_the_same_name_is_imported_from_its_start(imports: Any, stored: Any, tmp_path: Path) -> None:
    file = tmp_path / "rotated.jsonl"
    file.write_bytes(b"".join(lines(10, "rotated-1")))
    imports(file)
    file.write_bytes(b"".join(lines(10, "rotated-2")))
    imports(file)

    assert len(stored("rotated-2")) == 10


def test_bad_lines_are_named_and_the_others_kept(imports: Any, stored: Any, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    good = list(lines(3, "partly-bad"))
    file.write_bytes(good[0] + b'{"message": 5}\n' + good[1] + b'{"message": "cut\n' + good[2])

    [summary] = imports(file)["files"]

    assert (summary["accepted"], summary["rejected"]) == (3, 2)
    assert any(text.startswith("message: expected a string") for text in summary["errors"])
    assert len(stored("partly-bad")) == 3


def test_only_with_alert_do_the_rules_see_the_records(imports: Any, tmp_path: Path) -> None:
    quiet, loud = tmp_path / "quiet.log", tmp_path / "loud.log"
    quiet.write_text(TEXT)
    loud.write_text(TEXT)

    assert imports(quiet)["tickets"] == []
    [ticket] = imports(loud, "--alert")["tickets"]

    assert (ticket["priority"], ticket["count"]) == ("P2", 1)
    assert "giving up after 3 attempts" in ticket["title"]


def test_an_import_with_alert_after_one_without_is_refused_rather_than_stored_twice(
    imports: Any, tmp_path: Path
) -> None:
    file = tmp_path / "twice.log"
    file.write_text(TEXT)
    imports(file)

    imports(file, "--alert", code=4)
    assert imports(file, "--alert", "--again")["files"][0]["accepted"] == 3


def test_a_killed_import_goes_on_where_it_stopped_and_stores_nothing_twice(
    imports: Any, stored: Any, server: RunningServer, tmp_path: Path
) -> None:
    file = tmp_path / "killed.jsonl"
    count = 60_000
    file.write_bytes(b"".join(lines(count, "killed")))
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "TOCSIN_URL": server.url}
    kept = tmp_path / "state" / "tocsin" / "imports"
    for _ in range(3):
        process = subprocess.Popen(
            command("import", file), env=environment(**state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        offset = _offset(kept)
        deadline = time.monotonic() + 20
        while _offset(kept) == offset and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    imports(file)

    assert Counter(r["attributes"]["n"] for r in stored("killed")) == Counter(range(count))


def _offset(kept: Path) -> int:
    files = list(kept.glob("*.json"))
    return int(json.loads(files[0].read_text())["offset"]) if files else -1


def test_a_file_that_is_not_there_is_named(tocsin: Any, server: RunningServer) -> None:
    result = tocsin("import", "/no/such/file.log", "--url", server.url)

    assert result.code == 2
    assert "/no/such/file.log" in result.err


def test_a_compressed_file_that_is_cut_keeps_what_could_be_read(imports: Any, tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(b"".join(lines(50_000, "cut")))
    file.write_bytes(whole[: len(whole) // 2])

    [summary] = imports(file)["files"]

    assert summary["accepted"] > 0
    assert any("reading stopped" in text for text in summary["errors"])


@pytest.mark.parametrize("system", ["BGL", "Hadoop", "OpenStack", "Android", "Apache", "Spark", "OpenSSH", "HDFS"])
def test_the_logs_of_real_systems_import_whole(imports: Any, system: str) -> None:
    file = LOGHUB / system / f"{system}_2k.log"
    if not file.exists():
        pytest.skip("the collected logs are not beside this checkout (shared/data/loghub)")

    [summary] = imports(file)["files"]

    assert (summary["accepted"], summary["rejected"]) == (2000, 0)
    if system != "OpenSSH":
        assert len(summary["levels"]) > 1 or system == "Spark"
