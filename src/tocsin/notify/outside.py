"""The way out: every address is looked up once, checked, and that one is connected to; answers are bounded."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpcore2
import httpx2
import msgspec

from tocsin.notify.addresses import Allowed, refused, url_fault
from tocsin.notify.message import DeliveryFailed
from tocsin.notify.threads import Threads

MOST_BYTES: Final = 64 * 1024
LOOK_UP_WITHIN_S: Final = 5.0
_LOOK_UPS: Final = 64  # at once
_LOOK_UPS_OF_A_HOST: Final = 2
_CONNECTIONS: Final = 512
_KEPT_OPEN_S: Final = 2.0  # shorter than servers keep them: one that they close meanwhile costs a try
# Host and port in, addresses out: handed in, so that a test can be a name server.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Answered:
    """See `channels.channel.Answer`."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class LookUps:
    """What this machine's resolver says, asked in threads of its own: one that hangs can't be interrupted, so that a
    host whose name server does not answer has two of them at most; who else asks for it waits for these."""

    def __init__(self, ask: Callable[[str, int], Sequence[str]] | None = None) -> None:
        self._ask = ask or _ask
        self._threads = Threads("look-up", most=_LOOK_UPS)
        self._asked: dict[str, list[asyncio.Future[Sequence[str]]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Raises OSError."""
        name = host.lower().rstrip(".")
        asked = self._asked.setdefault(name, [])
        if len(asked) < _LOOK_UPS_OF_A_HOST:
            try:
                found = self._threads.start(lambda: self._ask(host, port))
            except RuntimeError:
                raise OSError("the program ends") from None
            asked.append(found)
            found.add_done_callback(lambda one: self._forget(name, one))
        # Whoever waits may give up; the thread is free when it is done.
        return await asyncio.shield(asked[-1])

    def _forget(self, name: str, found: "asyncio.Future[Sequence[str]]") -> None:
        self._asked[name].remove(found)
        if not self._asked[name]:
            del self._asked[name]

    def close(self) -> None:
        self._threads.close()


def _ask(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedOutside:
    """One per event loop; connections are kept open for a while and used again."""

    def __init__(
        self, allowed: Allowed, *, resolve: Resolver | None = None, trusted: ssl.SSLContext | None = None
    ) -> None:
        self._allowed = allowed
        self._look_ups = LookUps()
        self._resolve = resolve or self._look_ups
        self._trusted = trusted
        self._opened: httpcore2.AsyncConnectionPool | None = None

    @property
    def _pool(self) -> httpcore2.AsyncConnectionPool:
        """Opened by the first request: reading the certificates of this machine takes a while."""
        if self._opened is None:
            self._opened = httpcore2.AsyncConnectionPool(
                ssl_context=self._trusted or httpx2.create_ssl_context(),
                max_connections=_CONNECTIONS,
                keepalive_expiry=_KEPT_OPEN_S,
                network_backend=_CheckedBackend(self.addresses),
            )
        return self._opened

    async def close(self) -> None:
        self._look_ups.close()
        if self._opened is not None:
            await self._opened.aclose()

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Every address of a host, looked up once; all of them must be allowed. Raises DeliveryFailed."""
        try:
            found = await asyncio.wait_for(self._resolve(host, port), LOOK_UP_WITHIN_S)
        except TimeoutError:
            raise DeliveryFailed(f"{host} could not be looked up in time") from None
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed(f"{host} could not be looked up: {_words(error)}") from None
        if not found:
            raise DeliveryFailed(f"{host} has no address")
        if not self._allowed.host(host):
            for address in found:
                fault = refused(address, self._allowed)
                if fault is not None:
                    detail = f"{host} is refused: {address} {fault} (TOCSIN_ALLOW_PRIVATE may allow it)"
                    raise DeliveryFailed(detail, permanent=True)
        return found

    async def address(self, host: str, port: int) -> str:
        """See `channels.channel.Outside`."""
        return (await self.addresses(host, port))[0]

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout_s: float = 15.0,
    ) -> Answered:
        """See `channels.channel.Outside`. Raises DeliveryFailed; only `_words` of an error are told."""
        fault = url_fault(url)
        if fault is not None:
            raise DeliveryFailed(f"the address can't be used: {fault}", permanent=True)
        try:
            request = _request(method, url, headers=headers, content=content, json=json, form=form, auth=auth)
        except httpx2.InvalidURL as error:  # such as numbers that are no address
            raise DeliveryFailed(f"the address can't be used: {_words(error)}", permanent=True) from None
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            raise DeliveryFailed(f"no answer within {timeout_s:g} s") from None
        except httpcore2.TimeoutException:
            raise DeliveryFailed("no answer in time") from None
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
            raise DeliveryFailed(f"what came is no HTTP answer: {_words(error)}") from None
        except (httpcore2.NetworkError, ssl.SSLError, OSError) as error:
            raise DeliveryFailed(f"the connection failed: {_words(error)}") from None

    async def _exchange(self, request: httpcore2.Request) -> Answered:
        """Read what is wanted of the answer, and close the connection on an answer that goes on beyond that."""
        response = await self._pool.handle_async_request(request)
        try:
            body = bytearray()
            async for part in response.aiter_stream():
                body += part
                if len(body) >= MOST_BYTES:
                    break
            found = {name.decode("latin-1").lower(): value.decode("latin-1")[:2000] for name, value in response.headers}
            return Answered(response.status, found, bytes(body[:MOST_BYTES]))
        finally:
            await response.aclose()


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to an address that was checked. TLS still asks for the host's own name, and so does the Host header."""

    def __init__(self, addresses: Callable[[str, int], Awaitable[Sequence[str]]]) -> None:
        self._addresses = addresses
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failed: Exception | None = None
        for address in await self._addresses(host, port):
            try:
                return _Stream(await self._plain.connect_tcp(address, port, timeout, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that is closed when it is given up in the middle of its TLS handshake; httpcore leaves it open."""

    def __init__(self, plain: httpcore2.AsyncNetworkStream) -> None:
        self._plain = plain

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._plain.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._plain.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._plain.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._plain.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._plain.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


def _request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None,
    content: bytes | None,
    json: Any,
    form: Mapping[str, str] | None,
    auth: tuple[str, str] | None,
) -> httpcore2.Request:
    """The request as it goes out. No answer is unpacked: one that holds gigabytes stays as small as it came."""
    sent = {"accept-encoding": "identity", "accept": "*/*"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    if json is not None:
        content = msgspec.json.encode(json)
        sent.setdefault("content-type", "application/json")
    if form is not None:
        content = str(httpx2.QueryParams(dict(form))).encode()
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    if auth is not None:
        sent["authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
    parsed = httpx2.URL(url)
    # httpcore has no bound of its own: that of the whole request holds.
    raw = [(b"host", parsed.netloc)]
    raw += [(name.encode("ascii"), value.encode("latin-1")) for name, value in sent.items()]
    raw.append((b"content-length", str(len(content or b"")).encode()))
    target = httpcore2.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
    return httpcore2.Request(method.encode("ascii"), target, headers=raw, content=content or b"")


def _words(error: BaseException) -> str:
    """What an error says of the connection, short and on one line."""
    seen: BaseException | None = error
    text = ""
    while seen is not None and not text:
        text = " ".join((getattr(seen, "strerror", None) or str(seen)).split())
        seen = seen.__cause__ or seen.__context__
    return (text or type(error).__name__)[:200]
