"""`tocsin logs`: what people see of a search, a count, an export."""

import contextlib
import csv
import io
import json
import secrets
import sqlite3
from pathlib import Path

import pytest


@pytest.fixture
def filled(at_server):
    service = f"svc-{secrets.token_hex(4)}"
    for n in range(3):
        at_server("send", f"request {n} timed out", "--level", "ERROR", "--service", service, "--attr", f"n={n}")
    return service


def test_a_query_is_searched_for(at_server, filled):
    out = at_server("logs", "search", f'service:{filled} "timed out" -@n:1', "--since", "1h").out
    assert [line.split("  ")[-2] for line in out.splitlines()] == ["n=0", "n=2"]


def test_a_wrong_query_is_refused_in_one_line(at_server):
    result = at_server("logs", "search", "levle:ERROR")
    assert result.code == 4
    assert "column 1" in result.err
    assert "did you mean level?" in result.err


def test_counts_are_drawn(at_server, filled):
    counted = at_server("logs", "top", "service", f"service:{filled}").out
    assert ["3", "100.0%", "█" * 20, filled] == counted.splitlines()[2].split()
    drawn = at_server("logs", "histogram", f"service:{filled}", "--interval", "1h", "--by", "service").out
    assert "3 records, a bar every 3600 s." in drawn
    assert at_server("logs", "histogram", "service:nobody").out == "No record matches.\n"
    assert "@n" in at_server("logs", "fields", f"service:{filled}").out
    assert "records" in at_server("logs", "stats").out


def test_the_lines_around_one_are_shown_with_it_marked(at_server, filled):
    found = json.loads(at_server("logs", "search", f"service:{filled} @n:1", "--json").out)["items"]
    lines = at_server("logs", "context", found[0]["id"]).out.splitlines()
    assert [line[:2] for line in lines] == ["  ", "> ", "  "]


def test_an_export_is_a_file_or_a_stream(at_server, filled, tmp_path: Path):
    target = tmp_path / "found.csv"
    at_server("logs", "export", f"service:{filled}", "--format", "csv", "--output", target)
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert [json.loads(row["attributes"])["n"] for row in rows] in ([2, 1, 0], ["2", "1", "0"])
    assert at_server("logs", "export", "--format", "xml").code == 2
    assert not (tmp_path / "found.csv.part").exists()


def test_an_export_that_lacks_damaged_segments_says_so_and_ends_with_1(tocsin, start, monkeypatch, tmp_path):
    server = start()
    monkeypatch.setenv("TOCSIN_URL", server.url)
    server.ask("POST", "/logs", [{"message": "one"}])
    complete = tocsin("logs", "export")
    assert (complete.code, complete.err) == (0, "")
    row = {"key": "2026-11/x.parquet", "first_id": 9, "last_id": 9, "records": 1, "size_bytes": 1, "raw_bytes": 1,
           "sha256": "0" * 64, "min_at": 0, "max_at": 1 << 51, "severities": 512, "services": "{}", "layout": "{}",
           "raw_rows": 0, "stray": False, "created_at": 1, "damaged_at": 1, "damage": "cut"}  # fmt: skip
    with contextlib.closing(sqlite3.connect(server.data / "tocsin.db")) as database, database:
        database.execute(f"INSERT INTO segments ({','.join(row)}) VALUES (:{',:'.join(row)})", row)
    file = tmp_path / "all.ndjson"
    lacking = tocsin("logs", "export", "--output", file)
    assert lacking.code == 1
    assert "Not complete: 1 damaged segment could not be read (see: tocsin logs stats).\n" in lacking.err
    assert '"one"' in file.read_text()
