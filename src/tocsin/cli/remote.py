"""The HTTP client of the commands: one request, one answer, errors as exits. Nothing is retried behind one's back."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2 as httpx

from tocsin import __version__
from tocsin.access.policy import is_loopback
from tocsin.cli.exits import CommandFailed, Refused, Unreachable, WrongUsage

CONNECT_TIMEOUT_S: Final = 5.0
ANSWER_TIMEOUT_S: Final = 30.0
_MISSING: Final = 404
STREAM_TIMEOUT_S: Final = 60.0  # between two parts; a live tail says every 15 s that it is there


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: the body's text as it came, and what it means."""

    text: str
    data: Any


@dataclass(frozen=True, slots=True)
class Download:
    """A body in parts; the answer's headers, by their names in lower case, are known when the first has come."""

    parts: Iterator[bytes]
    headers: Mapping[str, str]


class Server:
    """A server at a URL. The key is that of TOCSIN_KEY, or of a file; it is never an argument that others can see."""

    def __init__(self, url: str, key_file: str | None = None, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        try:
            host = httpx.URL(self.url).host
        except httpx.InvalidURL as error:
            raise WrongUsage(detail=f"--url {url!r} is not a URL: {error}") from error
        if not self.url.startswith(("http://", "https://")) or not host:
            raise WrongUsage(detail=f"--url {url!r} is not a URL such as http://127.0.0.1:8000")
        headers = {"accept": "application/json", "user-agent": f"tocsin/{__version__}"}
        key = _key(key_file)
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=not is_loopback(host),  # no proxy stands between us and our own machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **filters: object) -> Answer:
        """GET; filters that are None are left out. Raises Unreachable, Refused, CommandFailed."""
        return self.ask("GET", path, params={name: str(value) for name, value in filters.items() if value is not None})

    def find(self, path: str) -> Answer | None:
        """GET; None where there is nothing. Raises as `ask` does otherwise."""
        try:
            return self.get(path)
        except Refused as error:
            if error.document.get("status") != _MISSING:
                raise
        return None

    def post(self, path: str, body: Mapping[str, object]) -> Answer:
        """POST a JSON object."""
        return self.ask("POST", path, json=body)

    def patch(self, path: str, body: Mapping[str, object], *, version: int | None = None) -> Answer:
        """PATCH a JSON object; `version` is the one the change was decided on."""
        return self.ask("PATCH", path, json=body, headers={} if version is None else {"if-match": f'"{version}"'})

    def events(self, path: str, **filters: object) -> Iterator[tuple[str, str]]:
        """Server-sent events, as `(event, data)`, until the server ends the stream. Raises as `ask` does."""
        kind, data = "message", list[str]()
        for line in self._lines(path, filters):
            if line.startswith("event:"):
                kind = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif not line:
                if data:
                    yield kind, "\n".join(data)
                kind, data = "message", []

    def download(self, path: str, **filters: object) -> Download:
        """A body of any size. Raises as `ask` does when it is read, also when it breaks off before its end."""
        headers: dict[str, str] = {}

        def parts() -> Iterator[bytes]:
            with self._open(path, filters) as response:
                headers.update(response.headers)
                yield from response.iter_bytes()

        return Download(parts(), headers)

    def _lines(self, path: str, filters: Mapping[str, object]) -> Iterator[str]:
        # Split by hand: a text may hold U+2028 and other characters that end a line elsewhere.
        rest = ""
        with self._open(path, filters) as response:
            for text in response.iter_text():
                *lines, rest = (rest + text).split("\n")
                yield from lines

    @contextmanager
    def _open(self, path: str, filters: Mapping[str, object]) -> Iterator[httpx.Response]:
        params = {name: str(value) for name, value in filters.items() if value is not None}
        patient = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=STREAM_TIMEOUT_S)
        try:
            with self._client.stream("GET", self.url + path, params=params, timeout=patient) as response:
                if not response.is_success:
                    response.read()
                    raise _problem(response.status_code, _json_or_none(response))
                yield response
        except httpx.HTTPError as error:
            raise Unreachable(url=self.url, reason=_reason(error)) from error

    def remove(self, path: str, *, force: bool = False) -> Answer:
        """DELETE; by `force` also what others name."""
        return self.ask("DELETE", path, params={"force": "true"} if force else {})

    def ask(self, method: str, path: str, **parts: Any) -> Answer:
        """One request. Raises Unreachable, Refused (4xx) or CommandFailed (anything else that is no success)."""
        try:
            response = self._client.request(method, self.url + path, **parts)
        except httpx.ReadTimeout as error:
            reason = "it took the request but did not answer in time; what became of it is not known"
            raise Unreachable(url=self.url, reason=reason) from error
        except httpx.HTTPError as error:
            raise Unreachable(url=self.url, reason=_reason(error)) from error
        try:
            data = response.json()
        except ValueError as error:
            detail = f"{self.url} answered {response.status_code} without JSON; is it a Tocsin server?"
            raise CommandFailed(detail=detail) from error
        if response.is_success:
            return Answer(response.text.rstrip("\n"), data)
        raise _problem(response.status_code, data)


def _json_or_none(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _key(key_file: str | None) -> str | None:
    if key_file is None:
        return os.environ.get("TOCSIN_KEY") or None
    return Path(key_file).read_text().strip() or None


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    text = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    return text.rstrip(".")


def _problem(status: int, data: Any) -> CommandFailed:
    """A problem document (RFC 9457) as an error; every entry of `errors` becomes a note."""
    if not isinstance(data, dict):
        return CommandFailed(detail=f"the server answered {status}")
    detail = str(data.get("detail") or f"the server answered {status}")
    if not 400 <= status < 500:
        return CommandFailed(detail=detail)
    if status == 401:
        detail += " Here: set TOCSIN_KEY, or name a file with --key-file."
    if str(data.get("type")).endswith(":in-use"):
        detail += " Here: --force."
    found = data.get("errors")
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    # What stands in the detail already is not said twice.
    notes = [_note(entry) for entry in entries if str(entry.get("detail")) not in detail]
    return Refused(detail, notes=notes, document=data)


def _note(entry: Mapping[str, object]) -> str:
    pointer = str(entry.get("pointer") or "")
    detail = str(entry.get("detail") or "")
    return f"{pointer}: {detail}" if pointer else detail
