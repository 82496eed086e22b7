"""What each kind of channel needs and takes, as the kinds say it of themselves. Pure."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.notify.channels.channel import Channel


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A kind: by setting what has to be given, and every setting there is; `personal`: it reaches one person at an
    address of theirs."""

    name: str
    about: str
    needs: Mapping[str, str]
    settings: tuple[str, ...]
    secrets: tuple[str, ...]
    personal: bool


def kind_of(channel: Channel) -> ChannelKind:
    """What a kind needs is what its own check misses where nothing is given."""
    needs = {fault.pointer.lstrip("/"): fault.detail for fault in channel.check({})}
    about = " ".join((inspect.getdoc(type(channel)) or "").split())
    return ChannelKind(
        name=channel.name,
        about=about.removeprefix("Settings: "),
        needs=needs,
        settings=channel.settings,
        secrets=tuple(sorted(channel.secrets)),
        personal=channel.personal,
    )


def kinds_of(channels: Mapping[str, Channel]) -> list[ChannelKind]:
    """Every kind, in the order of the table."""
    return [kind_of(channel) for channel in channels.values()]
