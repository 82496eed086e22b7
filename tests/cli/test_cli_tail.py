"""`tocsin logs tail`: what people see of a stream, and how it ends."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from running import Result

LINE = (
    'event: log\ndata: {"id": 7, "timestamp": "2026-11-24T02:21:00Z", "level": "ERROR", "service": "shop",'
    ' "message": "out of stock", "attributes": {}}\n\n'
)


@contextlib.contextmanager
def saying(text: str) -> Iterator[str]:
    """A server that answers everything with this stream; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"missed": 1700, "exact": true}', "1,700 lines left out"),
        ('{"missed": 1700, "exact": false}', "up to 1,700 lines left out"),
        ('{"missed": null, "exact": false}', "nobody knows how many"),
    ],
)
def test_what_was_left_out_is_told_beside_the_lines(tocsin: Callable[..., Result], data: str, told: str) -> None:
    with saying(f"id: 1.0.1\n: begun\n\nevent: missed\ndata: {data}\n\n{LINE}") as url:
        result = tocsin("logs", "tail", "--utc", "--url", url)
    assert result.code == 0
    assert told in result.err
    assert "shop  out of stock  #7" in result.out


def test_a_filter_that_fails_ends_the_command(tocsin: Callable[..., Result]) -> None:
    with saying('retry: 60000\nevent: error\ndata: {"detail": "This filter fails."}\n\n') as url:
        result = tocsin("logs", "tail", "--url", url)
    assert result.code == 1
    assert "This filter fails." in result.err
