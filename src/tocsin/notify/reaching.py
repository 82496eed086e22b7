"""From a person's contact method to the channel that carries it: the first enabled one of that kind, by name."""

from collections.abc import Collection, Mapping

from tocsin.notify import channel_store
from tocsin.notify.ways import Method
from tocsin.oncall import people_store
from tocsin.oncall.people import ContactMethod, MethodKind
from tocsin.storage.tx import ReadTx


def methods(tx: ReadTx, ids: Collection[int]) -> Mapping[int, Method]:
    """The methods of these numbers that can be used: not disabled, and there is a channel for them."""
    known = [method for method in people_store.methods(tx, ids) if method.disabled_reason is None]
    channels = channel_store.first_of_kinds(tx, {method.kind for method in known})
    return {method.id: _method(method, channels[method.kind]) for method in known if method.kind in channels}


def _method(method: ContactMethod, channel: str) -> Method:
    """A webhook's address is where its channel posts to; other kinds take an address beside their settings."""
    settings = {"url": method.address} if method.kind == MethodKind.WEBHOOK else {}
    return Method(channel, method.address, settings)
