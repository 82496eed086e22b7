"""Which addresses a message may be sent to: none of this machine or its networks, unless they are allowed. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215
_V4_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Private networks and hosts that may be sent to all the same. A host is allowed by its name, whatever it
    resolves to."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str | None) -> "Allowed":
        """`10.0.0.0/8, hooks.internal`. Raises ValueError, which names what is neither a network nor a host."""
        networks: list[Network] = []
        hosts: set[str] = set()
        for part in (part.strip() for part in (text or "").split(",")):
            if not part:
                continue
            try:
                networks.append(ipaddress.ip_network(part, strict=False))
            except ValueError:
                if "/" in part or not _HOST.fullmatch(part):
                    raise ValueError(f"{part[:80]!r} is neither a network such as 10.0.0.0/8 nor a host") from None
                hosts.add(_folded(part))
        return cls(tuple(networks), frozenset(hosts))

    def host(self, name: str) -> bool:
        return _folded(name) in self.hosts

    def address(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.networks)


def _folded(host: str) -> str:
    return host.lower().rstrip(".")


def refused(address: str, allowed: Allowed) -> str | None:
    """Why an address is not connected to; None when it may be. What stands inside an IPv6 address counts."""
    try:
        found: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "is no address"
    inner = list(_inside(found))
    if allowed.address(found) or any(allowed.address(one) for one in inner):
        return None
    for one in (found, *inner):
        fault = _fault(one)
        if fault is not None and not (one is found and inner and _is_wrapper(found)):
            return fault
    return None


def _is_wrapper(address: Address) -> bool:
    """Whether the address only carries an IPv4 one: that alone decides."""
    return isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64)


def _inside(address: Address) -> Iterable[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one leads to: mapped, compatible, NAT64, 6to4, Teredo."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or (address in _V4_COMPATIBLE and int(address) > 1):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _fault(address: Address) -> str | None:
    inner = isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or address in _LOCAL_NAT64)
    faults = (
        (address.is_loopback, "is this machine"),
        (address.is_link_local, "is link-local"),
        (address.is_multicast, "is multicast"),
        (address.is_unspecified or address.is_reserved, "is reserved"),
        (inner or address.is_private or not address.is_global, "is private"),
    )
    return next((fault for holds, fault in faults if holds), None)


def url_fault(url: Any) -> str | None:
    """What is wrong with an address that messages are to be posted to; None when it can be."""
    expected = "expected an address such as https://hooks.example.org/tocsin"
    if not isinstance(url, str) or not 0 < len(url) <= 2000 or not url.isascii() or not url.isprintable() or " " in url:
        return expected
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return expected
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return expected
    if parts.username is not None or parts.password is not None:
        return "holds a user or a password; put them into a header"
    return None
