"""kill -9 with a thousand messages on their way: none is lost, and what comes twice comes with the same id.

`TOCSIN_FAULT_ROUNDS` says how often each server is killed; `make faults` kills it more often.
"""

import itertools
import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from test_a_server_that_is_killed import Server

import receivers
from receivers import Receiver
from tocsin.settings import Settings

ROUNDS = min(int(os.environ.get("TOCSIN_FAULT_ROUNDS", "2")), 50)
PATIENCE_S = 240  # leases end, what failed meanwhile is tried again
IN_FLIGHT = 1000 if ROUNDS > 5 else 200
NEW_A_ROUND = 100


def messages(server: Server, n: int, numbers: "itertools.count[int]") -> None:
    """So many tickets, each with a message of its own to the default channel."""
    for _ in range(n // 50):
        records = [
            {"level": "CRITICAL", "service": f"s{next(numbers)}", "message": "database connection lost"}
            for _ in range(50)
        ]
        status, said = server.request("POST", "/logs", json.dumps(records).encode(), Content_Type="application/json")
        assert status == 200, said


@pytest.mark.slow
def test_no_message_is_lost_by_kill_9_and_repeats_have_the_same_id(settings: Settings, tmp_path: Path) -> None:
    # What a killed server had claimed is due at once on an embedded database, and when its lease ends on a shared one.
    chance = random.Random(settings.database_secret is None)
    receiver = Receiver(receivers.answer_after(chance, 0.05))
    able = settings.model_copy(
        update={"allow_private": "127.0.0.1", "storm_service": 0, "storm_all": 0, "delivery_patience": 0.1}
    )
    channel = {
        "kind": "webhook",
        "config": {"url": receiver.url},
        "is_default": True,
        "concurrency": 100,
        "timeout_s": 5,
    }
    numbers = itertools.count()
    server = Server(able, tmp_path)
    try:
        body = json.dumps(channel).encode()
        assert server.request("PUT", "/channels/hook", body, Content_Type="application/json")[0] == 201
        wanted = IN_FLIGHT
        messages(server, IN_FLIGHT, numbers)
        for _ in range(ROUNDS):
            receiver.wait_for(len(receiver.heard) + chance.randrange(1, 60))
            server.kill()
            server = Server(able, tmp_path)
            messages(server, NEW_A_ROUND, numbers)
            wanted += NEW_A_ROUND
        until = time.monotonic() + PATIENCE_S
        while (channel := server.request("GET", "/channels/hook")[1])["queued"]:
            assert time.monotonic() < until, channel
            time.sleep(0.2)
        found = server.everything("/deliveries", channel="hook")
        assert Counter(one["state"] for one in found) == {"delivered": wanted}
        heard = Counter(receiver.ids)
        assert heard.keys() == {one["message_id"] for one in found}
        about = {request.id: request.data["data"]["ticket"]["id"] for request in receiver.heard}
        assert len(set(about.values())) == wanted, "a ticket was told of twice"
    finally:
        server.kill()
        receiver.close()
