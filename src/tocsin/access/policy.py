"""Who may come in, as a pure decision over a request's origin and headers."""

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tocsin.kit.actors import Actor
from tocsin.kit.errors import Forbidden, Unauthenticated

LOCAL_ADMIN: Final = Actor("local", "admin")
KEY_ADMIN: Final = Actor("key", "admin")
_PROXIED: Final = frozenset({b"forwarded", b"via", b"x-real-ip"})
_NOTED: Final = _PROXIED | {b"host", b"authorization", b"origin", b"sec-fetch-site"}


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """`admin_key` is the one credential there is; without it, and with `loopback_admin`, this machine may act."""

    admin_key: str | None
    loopback_admin: bool = True

    def admit(self, client: str | None, headers: Iterable[tuple[bytes, bytes]]) -> Actor:
        """The actor of a request from the address `client`. Raises Unauthenticated or Forbidden.

        Header names are lower-case, as ASGI gives them. A web page elsewhere, a name rebound to 127.0.0.1 and
        a proxy in front are told from a local program by what browsers and proxies add.
        """
        seen = _Seen.of(headers)
        if seen.authorization is not None:
            return self._by_key(seen.authorization)
        if self.admin_key is not None:
            raise Unauthenticated(detail="A key is needed: send `Authorization: Bearer <TOCSIN_ADMIN_KEY>`.")
        if not self.loopback_admin:
            raise Forbidden(detail="No credential exists yet and loopback administration is off: set TOCSIN_ADMIN_KEY.")
        _check_local(client, seen)
        return LOCAL_ADMIN

    def _by_key(self, authorization: bytes) -> Actor:
        scheme, _, given = authorization.partition(b" ")
        if self.admin_key is None:
            raise Unauthenticated(detail="No key exists on this server; set TOCSIN_ADMIN_KEY to make one.")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self.admin_key.encode()):
            raise Unauthenticated(detail="The key is not valid.")
        return KEY_ADMIN


@dataclass(slots=True)
class _Seen:
    authorization: bytes | None = None
    host: bytes | None = None
    origin: bytes | None = None
    site: bytes | None = None
    proxied: bytes | None = None

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> "_Seen":
        seen = cls()
        for name, value in headers:
            if name not in _NOTED and not name.startswith(b"x-forwarded-"):
                continue
            if name == b"host":
                seen.host = value if seen.host is None else b""  # two Host headers name none
            elif name == b"authorization":
                seen.authorization = value if seen.authorization is None else b""
            elif name == b"origin":
                seen.origin = value if seen.origin is None else b""  # nor do two origins
            elif name == b"sec-fetch-site":
                seen.site = value if seen.site is None else b"cross-site"
            else:
                seen.proxied = name
        return seen


def _check_local(client: str | None, seen: _Seen) -> None:
    if client is None or not is_loopback(client):
        raise Forbidden(detail="Only this machine is served until an administrator's key exists (TOCSIN_ADMIN_KEY).")
    if seen.proxied is not None:
        raise Forbidden(
            detail=f"The request came through a proxy ({seen.proxied.decode('latin-1')}): set TOCSIN_ADMIN_KEY."
        )
    if seen.host is None or not is_loopback(host_name(seen.host.decode("latin-1"))):
        raise Forbidden(detail="The Host header names another machine; use http://127.0.0.1 or http://localhost.")
    if seen.origin is not None and _authority(seen.origin) != seen.host.lower():
        raise Forbidden(detail="The request was made by a web page of another origin.")
    if seen.site is not None and seen.site.lower() == b"cross-site":
        raise Forbidden(detail="The request was made by a web page of another site.")


def _authority(origin: bytes) -> bytes:
    return origin.lower().partition(b"://")[2]


def host_name(authority: str) -> str:
    """The host of `host`, `host:port` or `[v6]:port`."""
    if authority.startswith("["):
        host, closed, _ = authority[1:].partition("]")
        return host if closed else ""
    return authority.rpartition(":")[0] if authority.count(":") == 1 else authority


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, without asking a name server."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
