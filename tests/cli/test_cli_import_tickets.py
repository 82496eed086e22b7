"""tocsin import-tickets: what it takes in, what it says of the rest, and files it takes nothing of."""

import gzip
import json

import pytest

HEAD = "external_id,title,opened_at,status,resolved_at\n"
ROWS = """\
A-1,Mail is down,2026-03-01T10:00:00Z,RESOLVED,2026-03-01T12:00:00Z
A-2,Slow,soon,OPEN,
A-3,Odd,2026-03-01,OPEN,
"""


@pytest.fixture
def export(tmp_path):
    found = tmp_path / "export.csv"
    found.write_text(HEAD + ROWS)
    return found


def listed(at_server, source):
    page = json.loads(at_server("tickets", "list", f"source:{source}", "--json").out)
    return sorted(one["external_id"] for one in page["items"])


def test_a_dry_run_then_an_import_then_the_same_again(at_server, export):
    dry = at_server("import-tickets", export, "--format", "csv", "--source", "crm", "--dry-run")
    assert "2 would be imported, 0 were here before, 1 not taken" in dry.out
    assert "line 3: opened_at: 'soon' is no time" in dry.out
    assert listed(at_server, "crm") == []
    first = json.loads(at_server("import-tickets", export, "--format", "csv", "--source", "crm", "--json").out)
    assert (first["rows"], first["created"], [one["line"] for one in first["bad"]]) == (3, 2, [3])
    again = at_server("import-tickets", export, "--format", "csv", "--source", "crm")
    assert "0 imported, 2 were here before" in again.out
    assert listed(at_server, "crm") == ["A-1", "A-3"]


def test_what_stands_twice_in_a_file_is_told_from_what_was_here_before(at_server, tmp_path):
    file = tmp_path / "export.csv"
    again = "A-2,Slow,2026-03-01,OPEN,\nA-1,Mail again,2026-03-01,OPEN,\n"
    file.write_text(HEAD + ROWS + again)
    dry = at_server("import-tickets", file, "--format", "csv", "--source", "twice", "--dry-run").out
    assert "3 would be imported, 0 were here before, 1 doubled in the file, 1 not taken" in dry
    done = at_server("import-tickets", file, "--format", "csv", "--source", "twice").out
    assert "3 imported, 0 were here before, 1 doubled in the file, 1 not taken" in done
    assert "doubled: line 6: A-1 stands in line 2 already" in done
    assert listed(at_server, "twice") == ["A-1", "A-2", "A-3"]


def test_a_map_and_a_zone_are_taken_from_a_file(at_server, tmp_path):
    (tmp_path / "map.json").write_text(json.dumps({"columns": {"external_id": "key"}, "zone": "America/New_York"}))
    (tmp_path / "export.csv").write_text("key,title,opened_at\nB-1,Cold,2026-03-01 10:00:00\n")
    done = at_server(
        "import-tickets", tmp_path / "export.csv", "-f", "csv", "--map", tmp_path / "map.json", "--source", "b"
    )
    assert done.code == 0, done.err
    [one] = json.loads(at_server("tickets", "list", "source:b", "--json").out)["items"]
    assert one["opened_at"] == "2026-03-01T15:00:00Z"


def test_a_file_that_was_cut_changes_nothing(at_server, tmp_path):
    whole = gzip.compress((HEAD + ROWS * 1000).encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-30])
    cut = at_server("import-tickets", tmp_path / "cut.csv.gz", "--format", "csv", "--source", "cut")
    assert (cut.code, "cut or is damaged" in cut.err) == (1, True)
    (tmp_path / "cut.csv").write_text(HEAD + ROWS + "A-4,It ends he")
    cut = at_server("import-tickets", tmp_path / "cut.csv", "--format", "csv", "--source", "cut")
    assert (cut.code, "ends in the middle of line 5" in cut.err) == (1, True)
    assert listed(at_server, "cut") == []


def test_from_jira_and_out_again_as_lines_and_as_csv(at_server, tmp_path):
    issues, lines, table = (tmp_path / name for name in ("issues.csv", "tickets.jsonl", "tickets.csv"))
    issues.write_text(
        "Issue key,Summary,Status,Priority,Created,Labels,Labels,Comment\n"
        'J-1,=Mail is down,Work in progress,High,24/Nov/25 2:21 AM,emea,mail,"24/Nov/25 3:00 AM;ana;We look."\n'
        "J-2,Slow,Odd,Low,24/Nov/25 2:21 AM,,,\n"
    )
    done = at_server("import-tickets", issues, "--format", "jira", "--zone", "Europe/Lisbon")
    assert ("2 imported" in done.out, "taken, but: line 3: status 'Odd' is not known" in done.out) == (True, True)
    assert at_server("export", "tickets", "source:jira", "-o", lines).out == f"{lines}: 2 tickets.\n"
    one, two = map(json.loads, lines.read_text().splitlines())
    assert (one["comments"][0]["text"], one["tags"], two["status"]) == ("We look.", ["emea", "mail"], "OPEN")
    again = at_server("import-tickets", lines, "--format", "tocsin", "--source", "there").out
    assert "2 imported, 0 were here before, 0 not taken" in again
    assert at_server("export", "tickets", "source:jira", "--csv", "-o", table).out == f"{table}: 2 tickets.\n"
    head, first, _ = table.read_text().splitlines()
    assert (head.split(",")[:3], first.split(",")[1:5]) == (
        ["id", "title", "status"],
        ["'=Mail is down", "IN_PROGRESS", "P2", ""],
    )
    refused = at_server("export", "tickets", "--status", "asleep", "-o", lines)
    assert (refused.code, len(lines.read_text().splitlines()), list(tmp_path.glob("*.new"))) == (4, 2, [])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[]", "expected an object"),
        ('{"colums": {}}', "expected an object with columns"),
        ('{"columns": {"owner": "x"}}', "'owner' is no field"),
        ('{"states": {"Done": "FIXED"}}', "'FIXED' is no status"),
        ("{", "map.json"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(at_server, export, tmp_path, said, words):
    (tmp_path / "map.json").write_text(said)
    refused = at_server("import-tickets", export, "--format", "csv", "--map", tmp_path / "map.json")
    assert (refused.code, words in refused.err) == (2, True)


def test_an_unknown_format_and_a_missing_file_are_named(at_server, tmp_path):
    assert at_server("import-tickets", "x", "--format", "excel").code == 2
    assert "No such file" in at_server("import-tickets", tmp_path / "x", "--format", "csv").err
