"""`tocsin channels` and `tocsin deliveries` against a real server."""

import json
from collections.abc import Callable, Iterator

import pytest
from running import Result, RunningServer

from desk import wait_until
from receivers import Receiver, answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver(answer(400, b"no"))
    yield found
    found.close()


def test_a_channel_is_saved_tried_and_its_messages_are_found_and_replayed(
    start: Callable[..., RunningServer],
    tocsin: Callable[..., Result],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = start(None, TOCSIN_ALLOW_PRIVATE="127.0.0.1")
    monkeypatch.setenv("TOCSIN_URL", server.url)
    to = ("--set", f"url={receiver.url}", "--header", "x-a=b")
    saved = tocsin("channels", "save", "ops", "webhook", *to, "--default")
    assert (saved.code, saved.err) == (0, "")
    assert "tocsin channels test ops" in saved.out
    tested = tocsin("channels", "test", "ops")
    assert tested.code == 1
    assert "Not taken: 400 no" in tested.out

    tocsin("send", "database connection lost", "--level", "CRITICAL", "--service", "payments")
    wait_until(lambda: "dead" in tocsin("deliveries", "list", "--ticket", "1", "--state", "dead").out)
    shown = tocsin("channels", "show", "ops").out
    assert "***" in shown
    assert "1 (tocsin deliveries replay --channel ops)" in shown
    assert "untried" in tocsin("channels", "list").out

    receiver.way = answer()
    assert "Taken: 200" in tocsin("channels", "test", "ops").out
    replayed = tocsin("deliveries", "replay", "--channel", "ops", "--kind", "opened")
    assert replayed.out == "1 to be sent again.\n"
    [found] = json.loads(tocsin("deliveries", "list", "-t", "1", "-c", "ops", "--json").out)["items"]
    wait_until(lambda: "delivered" in tocsin("deliveries", "show", found["id"]).out)
    assert "400 no" in tocsin("deliveries", "show", found["id"]).out
    again = tocsin("channels", "show", "ops", "--json").out
    assert json.loads(again)["config"]["headers"] == {"x-a": "***"}
    assert "ops is off" in tocsin("channels", "disable", "ops").out
    assert "ops is on" in tocsin("channels", "enable", "ops").out
    assert "Taken: 200" in tocsin("channels", "test", "ops").out, "what was secret is what it was"
    assert tocsin("channels", "enable", "nowhere").code == 4

    assert tocsin("deliveries", "replay").code == 2
    assert tocsin("channels", "remove", "ops").code == 0
    assert tocsin("channels", "show", "ops").code == 4
