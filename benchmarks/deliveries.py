"""From a CRITICAL log to a webhook's receiver: how long it takes, and what bad receivers cost the intake of logs.

The limit beside the first figures is the same request sent by hand from this process to the same receiver.
"""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import quote

import figures
from figures import Figure
from load import in_own_process
from servers import Server, free_port, running, start_tocsin, temp_folder

BUDGET_P99_MS: Final = 150.0
SHARE_OF_P99: Final = 1.1
_SETTINGS: Final = {
    "TOCSIN_ALLOW_PRIVATE": "127.0.0.1",
    "TOCSIN_STORM_SERVICE": "0",
    "TOCSIN_STORM_ALL": "0",
}
_HANGS_S: Final = 3600.0
_KINDS: Final = ("slow", "failing", "hanging", "dead")


class Heard:
    """When each message was heard by a receiver; `delay_s` and `fails` say how that one is."""

    def __init__(self, *, delay_s: float = 0.0, fails: float = 0.0) -> None:
        self.at: dict[int, float] = {}
        self.ids: Counter[str] = Counter()
        self.closing = threading.Event()
        self._delay_s, self._fails = delay_s, fails
        self._chance = random.Random(1)
        self._guard = threading.Lock()

    def take(self, message_id: str, body: bytes) -> int:
        """Note a message; the status to answer with."""
        now = time.monotonic()
        ticket = json.loads(body)["data"]["ticket"]
        with self._guard:
            self.ids[message_id] += 1
            if ticket is not None:
                self.at.setdefault(int(ticket["title"].rpartition(" ")[2]), now)
            status = 500 if self._chance.random() < self._fails else 200
        self.closing.wait(self._delay_s)
        return status


@contextmanager
def receiving(heard: Heard) -> Iterator[str]:
    """A receiver on loopback; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = heard.take(self.headers.get("webhook-id", ""), body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Receiver(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512

        def handle_error(self, *_: object) -> None:
            pass  # whoever sent hung up

    server = Receiver(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        heard.closing.set()
        server.shutdown()
        server.server_close()


def _ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"content-type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status} {found}")
    return found


def _make_channel(server: Server, name: str, url: str, *, is_default: bool = True, **limits: Any) -> None:
    body = {"kind": "webhook", "config": {"url": url}, "is_default": is_default, **limits}
    _ask(server, "PUT", f"/channels/{name}", body)


def _critical(number: int) -> bytes:
    """A record of a service of its own, so that each opens a ticket; its title ends with the number."""
    record = {"level": "CRITICAL", "service": f"bench-{number}", "message": "lost", "attributes": {}}
    return json.dumps(record | {"message": f"database lost {number}"}).encode()


def _post(port: int, path: str, bodies: Iterator[tuple[float, bytes]], sent: Callable[[int, float], None]) -> None:
    """Post each body at its moment over one connection, and say when that was."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number, (moment, body) in enumerate(bodies):
        time.sleep(max(moment - time.monotonic(), 0))
        began = time.monotonic()
        connection.request("POST", path, body, {"content-type": "application/json", "webhook-id": str(number)})
        connection.getresponse().read()
        sent(number, began)
    connection.close()


def _paced(port: int, path: str, body_of: Callable[[int], bytes], *, per_s: int, seconds: float) -> dict[int, float]:
    """Post at a steady rate from some connections; when each began."""
    began_at: dict[int, float] = {}
    lanes = min(max(per_s // 10, 1), 32)
    count = max(int(per_s * seconds), 5)
    first = time.monotonic() + 0.2

    def lane(place: int) -> None:
        numbers = range(place, count, lanes)
        bodies = ((first + number / per_s, body_of(number)) for number in numbers)
        _post(port, path, bodies, lambda n, at: began_at.__setitem__(numbers[n], at))

    with ThreadPoolExecutor(lanes) as pool:
        for done in [pool.submit(lane, place) for place in range(lanes)]:
            done.result()
    return began_at


def _percentiles(times: list[float]) -> tuple[float, float]:
    ordered = sorted(times)
    return ordered[len(ordered) // 2] * 1000, ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] * 1000


def _until(condition: Callable[[], bool], *, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _alone(body: bytes, *, per_s: int, seconds: float) -> tuple[float, float]:
    """The limit: the receiver is posted to directly at the same rate."""
    heard = Heard()
    with receiving(heard) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        bodies = {n: body.replace(b'"NUMBER"', f'"title {n}"'.encode()) for n in range(int(per_s * seconds) + 5)}
        began = _paced(port, "/hook", bodies.__getitem__, per_s=per_s, seconds=seconds)
    return _percentiles([heard.at[n] - began[n] for n in began if n in heard.at])


def measure_latency(*, rates: tuple[int, ...] = (1, 100, 1000), seconds: float = 10.0) -> list[Figure]:
    """CRITICAL log posted -> the receiver has it, at some rates of tickets."""
    payload = json.dumps({"data": {"ticket": {"title": "NUMBER"}, "text": "x" * 600}}).encode()
    found: list[Figure] = []
    for per_s in rates:
        heard = Heard()
        length_s = min(seconds, 5.0) if per_s >= 1000 else seconds
        with (
            temp_folder() as folder,
            receiving(heard) as url,
            running(start_tocsin(folder / "data", settings=_SETTINGS)) as server,
        ):
            _make_channel(server, "hook", url, concurrency=32)
            _ask(server, "PUT", "/channels/console", {"kind": "console", "is_default": False})
            began = _paced(server.port, "/logs", _critical, per_s=per_s, seconds=length_s)
            complete = _until(lambda h=heard, b=began: len(h.at) >= len(b), within_s=60)  # type: ignore[misc]
        times = [heard.at[n] - began[n] for n in began if n in heard.at]
        p50, p99 = _percentiles(times)
        bare = _alone(payload, per_s=per_s, seconds=length_s)
        whole = len(began) / (max(heard.at.values()) - min(began.values()))
        met = None if per_s != 100 else p99 < BUDGET_P99_MS
        budget = f", budget p99 < {BUDGET_P99_MS:.0f} ms" if per_s == 100 else ""
        found.append(
            Figure(
                f"log -> webhook, {per_s:,} tickets/s",
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
                f"directly p50 {bare[0]:.1f}, p99 {bare[1]:.1f}{budget}",
                met,
            )
        )
        repeats = sum(heard.ids.values()) - len(heard.ids)
        found.append(
            Figure(
                "... heard",
                f"{len(times):,} of {len(began):,}, {repeats} twice",
                f"{whole:,.0f}/s through and through",
                complete and repeats == 0,
            )
        )
    return found


def _ingest(server: Server, seconds: float) -> float:
    """The p99 of posting logs that alert nobody, in ms."""
    load = in_own_process(port=server.port, per_request=100, connections=4, seconds=seconds, warm_up_s=0.5)
    if load.errors:
        raise RuntimeError(f"{load.errors} requests failed, first: {load.first_error}")
    return load.p99_ms


def _open_tickets(server: Server, n: int) -> None:
    for start in range(0, n, 100):
        records = [json.loads(_critical(number)) for number in range(start, min(start + 100, n))]
        _ask(server, "POST", "/logs", records)


def _became(server: Server) -> Mapping[tuple[str, str], int]:
    """How many messages about new tickets the bad receivers were to have, by channel and state."""
    found: Counter[tuple[str, str]] = Counter()
    cursor = ""
    while True:
        page = _ask(server, "GET", f"/deliveries?kind=opened&limit=1000{cursor}")
        found.update((one["channel"], one["state"]) for one in page["items"] if one["channel"] in _KINDS)
        if page["next"] is None:
            return found
        cursor = f"&cursor={quote(page['next'])}"


def _queued(server: Server) -> int:
    """Messages that wait, from the metrics."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("tocsin_deliveries_queued{"))


def _by_channel(became: Mapping[tuple[str, str], int]) -> str:
    return ", ".join(f"{became.get((name, 'delivered'), 0):,} {name}" for name in _KINDS)


def measure_bad(*, deliveries: int = 10_000, seconds: float = 10.0, within_s: float = 600.0) -> list[Figure]:
    """Receivers that are slow (5 s), fail half of the time, hang or are dead, each with a quarter of the messages."""
    each = max(deliveries // len(_KINDS), 1)
    slow, failing, hanging = Heard(delay_s=5.0), Heard(fails=0.5), Heard(delay_s=_HANGS_S)
    # What is given up after a day is given up after 3 min, or half of one for a few.
    settings = _SETTINGS | {"TOCSIN_DELIVERY_PATIENCE": "0.002" if deliveries > 2000 else "0.0003"}
    with (
        temp_folder() as folder,
        receiving(slow) as slow_url,
        receiving(failing) as failing_url,
        receiving(hanging) as hanging_url,
        running(start_tocsin(folder / "data", settings=settings)) as server,
    ):
        urls = {"slow": slow_url, "failing": failing_url, "hanging": hanging_url}
        urls["dead"] = f"http://127.0.0.1:{free_port()}/hook"
        _ask(server, "PUT", "/channels/console", {"kind": "console", "is_default": False})
        before = _ingest(server, seconds)
        for name in _KINDS:
            # Nobody waits here for an hour: what hangs is given up after a second, the waits are a thousandth.
            timeout_s = 15 if name == "slow" else 1
            _make_channel(server, name, urls[name], concurrency=100 if name == "slow" else 32, timeout_s=timeout_s)
        _open_tickets(server, each)
        during = _ingest(server, seconds)
        began = time.monotonic()
        _until(lambda: _queued(server) == 0, within_s=within_s)
        took_s = time.monotonic() - began + seconds
        became = _became(server)
    asked = each * len(_KINDS)
    ended = sum(n for (_, state), n in became.items() if state in ("delivered", "dead"))
    met = during <= before * SHARE_OF_P99
    beside = f"{before:.1f} ms without, at most x{SHARE_OF_P99}"
    repeats = sum(sum(one.ids.values()) - len(one.ids) for one in (slow, failing, hanging))
    return [
        Figure(f"ingest p99 beside {asked:,} bad messages", f"{during:.1f} ms", beside, met),
        Figure("... delivered or dead", f"{ended:,}", f"{asked:,} asked for", ended == asked),
        Figure("... delivered", _by_channel(became), f"{repeats:,} tries more, by the same ids"),
        Figure("... until the last one", f"{took_s:.0f} s"),
    ]


def measure(*, seconds: float = 10.0, deliveries: int = 10_000, within_s: float = 600.0) -> list[Figure]:
    """Both."""
    found = measure_latency(seconds=seconds)
    return found + measure_bad(deliveries=deliveries, seconds=seconds, within_s=within_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit code 1 when a message was lost.")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each rate")
    parser.add_argument("--deliveries", type=int, default=10_000, help="to bad receivers; 0 leaves them out")
    parser.add_argument("--rates", type=int, nargs="*", default=[1, 100, 1000], help="tickets a second")
    parser.add_argument("--within", type=float, default=600.0, metavar="SECONDS", help="until every one must be over")
    given = parser.parse_args()
    found = measure_latency(rates=tuple(given.rates), seconds=given.seconds)
    if given.deliveries:
        found += measure_bad(deliveries=given.deliveries, seconds=given.seconds, within_s=given.within)
    figures.show(found)
    sys.exit(any(figure.met is False for figure in found if "heard" in figure.what or "or dead" in figure.what))


if __name__ == "__main__":
    main()
