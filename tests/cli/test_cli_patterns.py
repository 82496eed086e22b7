"""tocsin patterns: what it prints, and that what it changes can be undone."""

import json
from datetime import UTC, datetime

import pytest

from desk import Desk, FakeClock, info
from tocsin.settings import Settings
from tocsin.storage.objects import check_identity


@pytest.fixture
def counted(tocsin, start, installation, monkeypatch):
    """The command line at a server whose records are counted already."""
    desk = Desk(Settings(data_dir=installation), FakeClock(datetime.now(UTC)))
    check_identity(desk.database, desk.objects, in_use=False)
    desk.post(*[info(f"order {n} paid by card {n}", service="shop") for n in range(5)])
    desk.post(*[info(f"login from 10.0.0.{n} accepted\x1b[31m", service="accounts") for n in range(3)])
    desk.compact()
    desk.close()
    monkeypatch.setenv("TOCSIN_URL", start(installation).url)
    return tocsin


def test_patterns_are_listed_and_shown(counted):
    lines = counted("patterns", "list").out.splitlines()
    assert ["order <*> paid by card <*>" in lines[2], "login from <*>" in lines[3]] == [True, True]
    assert "█" in lines[2]
    assert counted("patterns", "list", "nothing like it").out == "No pattern matches.\n"
    [found] = json.loads(counted("patterns", "list", "card", "--json").out)["items"]
    shown = counted("patterns", "show", found["id"]).out
    for part in ("(?s:.*)", "shop 5", "order 0 paid by card 0", "+5"):
        assert part in shown
    assert "\x1b" not in counted("patterns", "list").out


def test_a_merge_and_a_split_are_made_and_undone(counted):
    first, second = (item["id"] for item in json.loads(counted("patterns", "list", "--json").out)["items"])
    assert counted("patterns", "merge", second, "--into", first).out == f"Change 1: merged {second} into {first}.\n"
    assert len(json.loads(counted("patterns", "list", "--json").out)["items"]) == 1
    assert counted("patterns", "undo", "1").out.startswith(f"Change 1: merged {second} into {first}, undone by ")
    said = counted("patterns", "split", first, "order 7 paid by card <*>").out
    assert said.startswith("Change 2: split ")
    assert "Change 2" in counted("patterns", "show", first).out
    refused = counted("patterns", "undo", "1")
    assert (refused.code, "undone already" in refused.err) == (4, True)
