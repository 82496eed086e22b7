"""tocsin apply and tocsin export: what they print, and how they end."""

import io
import json
import os
import pty
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tocsin.cli.exits import FAILED, REFUSED, USAGE

TOMORROW = datetime.now(UTC) + timedelta(days=1)
FILE = f"""\
rules:
  - name: payments-errors
    condition: service:payments level:>=ERROR
    priority: P2
silences:
  - name: disk
    matcher: "@host:db1"
    reason: disk replacement
    starts_at: {TOMORROW.isoformat()}
    ends_at: {(TOMORROW + timedelta(hours=2)).isoformat()}
services:
  - name: payments
    depends_on: [postgres]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file into the working folder; returns its name."""
    monkeypatch.chdir(tmp_path)

    def make(text=FILE, name="tocsin.yaml"):
        (tmp_path / name).write_text(text)
        return name

    return make


@pytest.fixture
def at_fresh(tocsin, start, monkeypatch):
    """Commands run against a server of this test alone."""
    monkeypatch.setenv("TOCSIN_URL", start().url)
    return tocsin


@pytest.fixture
def stdin(monkeypatch):
    """Gives commands a standard input: a text, which is no terminal."""

    def put(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return put


@pytest.fixture
def terminal(monkeypatch):
    """A terminal at which somebody types."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as opened, os.fdopen(ours, "w") as typed:
        monkeypatch.setattr(sys, "stdin", opened)

        def put(text):
            typed.write(text)
            typed.flush()

        yield put


def test_a_file_is_planned_applied_and_pruned(at_fresh, write, stdin):
    stdin("")
    assert at_fresh("apply", "-f", write(), "--dry-run").out.splitlines() == [
        "+ rule payments-errors",
        "+ silence disk",
        "+ service payments",
        "  kept, not in the file (--prune removes it): rule critical-logs",
        "A dry run: nothing was changed; it would be 3 made.",
    ]
    assert at_fresh("apply", "-f", "tocsin.yaml").out.splitlines()[-1] == "Applied: 3 made."
    assert at_fresh("apply", "-f", "tocsin.yaml").out.splitlines() == [
        "= 3 unchanged",
        "  kept, not in the file (--prune removes it): rule critical-logs",
        "Applied: everything is so already.",
    ]
    changed = FILE.replace("priority: P2", "priority: P1").replace("@host:db1", "@host:db2").replace("[postgres]", "[]")
    assert at_fresh("apply", "-f", write(changed)).out.splitlines()[:3] == [
        "~ rule payments-errors: priority P2 → P1",
        "~ silence disk: matcher @host:db1 → @host:db2 (ends and is made anew)",
        '~ service payments: depends_on ["postgres"] → []',
    ]
    refused = at_fresh("apply", "-f", "tocsin.yaml", "--prune")
    assert (refused.code, refused.out) == (USAGE, "")
    assert "--prune would remove 1 (rule critical-logs); say --yes" in refused.err
    assert at_fresh("apply", "-f", "tocsin.yaml", "--prune", "--yes").out.splitlines() == [
        "- rule critical-logs (not in the file)",
        "= 3 unchanged",
        "Applied: 1 removed.",
    ]
    assert at_fresh("apply", "-f", "tocsin.yaml", "--prune").code == 0, "nothing to remove, nothing to ask"


def test_at_a_terminal_one_is_asked_before_anything_is_removed(at_fresh, write, terminal):
    write()
    terminal("n\n")
    said = at_fresh("apply", "-f", "tocsin.yaml", "--prune")
    assert (said.code, "- rule critical-logs" in said.out) == (FAILED, True)
    assert said.err.splitlines()[-1].endswith("tocsin: nothing was changed")
    assert at_fresh("rules", "show", "payments-errors").code == REFUSED
    terminal("y\n")
    said = at_fresh("apply", "-f", "tocsin.yaml", "--prune")
    assert (said.code, said.out.splitlines()[-1].strip()) == (0, "Applied: 3 made, 1 removed.")


def test_what_is_exported_and_applied_is_unchanged(at_fresh, write, stdin):
    at_fresh("apply", "-f", write())
    at_fresh("silences", "create", "service:x", "--for", "2h", "-r", "by hand")
    assert at_fresh("export", "-o", "all.yaml").out == "all.yaml: 2 rules, 2 silences, 1 service.\n"
    text = at_fresh("export").out
    assert text.startswith("# What this Tocsin has.")
    said = yaml.safe_load(text)
    assert said["rules"][1] == {
        "name": "payments-errors", "condition": "service:payments level:>=ERROR", "priority": "P2",
    }  # fmt: skip
    assert [one["name"] for one in said["silences"]] == ["disk", "silence-2"]
    stdin(text)
    plan = at_fresh("apply", "-f", "-", "--prune", "--dry-run").out.splitlines()
    assert plan == [
        "= silence silence-2 (silence 2 is from a file from now on)",
        "= 5 unchanged",
        "A dry run: nothing was changed; it would be nothing.",
    ]
    assert json.loads(at_fresh("export", "--section", "services", "--json").out) == {
        "services": [{"name": "payments", "depends_on": ["postgres"]}]
    }
    assert at_fresh("export", "--section", "tickets").code == USAGE


def test_faults_are_told_with_file_line_and_column(at_server, write):
    write("rules:\n- name: a\n  condition: 'level:('\n", "one.yaml")
    write(
        "rules:\n- name: b\n  condition: x\n  colour: red\n- {name: b}\nservices:\n- name: x\n  depends_on: [x]\n",
        "two.yaml",
    )
    said = at_server("apply", "-f", "one.yaml", "-f", "two.yaml", "--dry-run")
    assert said.code == REFUSED
    lines = said.err.splitlines()
    assert lines[0] == "tocsin: 4 faults in the file; nothing was changed"
    assert sorted(lines[1:]) == [
        "  one.yaml:3:3: /rules/0/condition: column 8: a ( is never closed; expected )",
        "  two.yaml:4:3: /rules/1/colour: does not exist here; see /docs for what there is",
        "  two.yaml:5:3: /rules/2/condition: is required",
        "  two.yaml:8:3: /services/0/depends_on: a service can't depend on itself",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rulez: []", "tocsin.yaml:1:1: there is no section 'rulez'; expected some of rules, silences, services"),
        ("rules: {a: 1}", "tocsin.yaml:1:1: expected a list of rules"),
        ("- rules", "tocsin.yaml:1:1: expected the sections"),
        ("text", "expected the sections"),
        ("rules: []\nrules: []", "tocsin.yaml:2:1: 'rules' stands there twice"),
        ("rules: [", "tocsin.yaml:2:1: not YAML"),
    ],
)
def test_what_is_no_such_file_is_refused_before_anything_is_asked(tocsin, write, text, said):
    result = tocsin("apply", "-f", write(text), "--url", "http://127.0.0.1:9")
    assert (result.code, said in result.err) == (USAGE, True), result.err


def test_json_is_the_servers_answer(at_server, write):
    answer = json.loads(at_server("apply", "-f", write(), "--dry-run", "--json").out)
    assert (answer["applied"], answer["counts"]["create"]) == (False, 3)
    assert at_server("apply", "-f", "nothing.yaml").code == 1
