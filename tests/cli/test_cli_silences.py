"""tocsin silences: what it prints, and how it ends."""

import itertools
import json

import pytest

from tocsin.cli.exits import REFUSED, USAGE

numbers = itertools.count(1)
WINDOW = (
    "--every", "FREQ=DAILY;BYHOUR=2", "--for", "2h", "--time-zone", "Europe/Lisbon", "--until", "2027-06-30T00:00:00Z",
    "--from", "2027-03-01T00:00:00Z",
)  # fmt: skip


@pytest.fixture
def service():
    """A service of this test alone: its silences hide nothing of others."""
    return f"silenced-{next(numbers)}"


@pytest.fixture
def make(at_server):
    """Makes silences that are ended after the test; returns their ids."""
    made = []

    def create(*args):
        made.append(json.loads(at_server("silences", "create", *args, "--json").out)["id"])
        return made[-1]

    yield create
    for silence_id in made:
        at_server("silences", "end", str(silence_id))


def words(page):
    """A page with the blanks between its columns reduced to one."""
    return " ".join(page.split())


def test_a_silence_is_made_shown_listed_changed_and_ended(at_server, make, service):
    matcher = f"service:{service}"
    silence_id = make(matcher, "--for", "2h", "-r", "disk replacement", "-o", "ana", "--break-factor", "10")
    at_server("send", "boom", "--level", "CRITICAL", "--service", service)
    page = words(at_server("silences", "show", str(silence_id), "--utc").out)
    for line in ("state active", "owner ana", "hidden 1 record on 1 alert; the last",
                 "breaks beyond 10 times the usual within 5 minutes (0 a minute, reckoned as at least 1)"):  # fmt: skip
        assert line in page
    [row] = [r for r in at_server("silences", "list", "--state", "active").out.splitlines() if matcher in r]
    assert row.split()[:3] == [str(silence_id), "active", "until"]
    said = at_server("silences", "change", str(silence_id), "--until", "2099-01-01T00:00:00Z")
    assert (said.code, "expected at most 366" in said.err) == (REFUSED, True)
    said = at_server("silences", "change", str(silence_id), "-r", "it takes longer").out
    assert said.startswith(f"Silence {silence_id} (version 2, active, until ")
    said = at_server("silences", "end", str(silence_id), "--utc").out
    assert said.startswith(f"Silence {silence_id} (version 3, expired, ended ")
    said = at_server("silences", "end", str(silence_id))
    assert (said.code, "is over already" in said.err) == (REFUSED, True)


def test_a_window_says_when_it_begins(at_server, make, service):
    silence_id = make(f"service:{service}", "-r", "vacuum", *WINDOW)
    page = words(at_server("silences", "show", str(silence_id), "--utc").out)
    assert "recurs FREQ=DAILY;BYHOUR=2 in Europe/Lisbon, 2h each" in page
    assert "occurrences 2027-03-01 02:00:00Z to 2027-03-01 04:00:00Z" in page
    assert "hidden nothing so far" in page


def test_what_it_would_hide_is_told_first(at_server, service):
    at_server("send", "boom", "--level", "CRITICAL", "--service", service)
    told = words(at_server("silences", "preview", f"service:{service}", *WINDOW, "--utc").out)
    assert "last hour 1 of the records that a rule matches" in told
    assert f"{service}: boom" in told
    assert "2027-03-28 01:00:00Z" not in told, "ten are told"


def test_one_that_hides_everything_is_warned_of(at_server):
    told = words(at_server("silences", "preview", "*").out)
    assert "warning This hides everything" in told


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (("create", "x", "-r", "y"), REFUSED, "a silence has an end"),
        (("create", "x", "-r", "y", "--for", "soon"), USAGE, "such as 15m"),
        (("change", "1"), USAGE, "Say what to change"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(at_server, line, code, told):
    ended = at_server("silences", *line)
    assert (ended.code, told in ended.err, ended.err.count("\n") <= 2) == (code, True, True)


def test_several_are_ended_although_one_is_not_there(at_server, make, service):
    silence_id = make(f"service:{service}", "-r", "x", *WINDOW)
    ended = at_server("silences", "end", str(silence_id), "999999")
    assert (ended.code, f"Silence {silence_id} (" in ended.out) == (REFUSED, True)
    assert "silence 999999" in ended.err
