"""All ways to reach people, by name."""

from collections.abc import Mapping
from typing import Final

from tocsin.notify.channels.channel import Channel
from tocsin.notify.channels.console import Console
from tocsin.notify.channels.webhook import Webhook

_ALL: Final[tuple[Channel, ...]] = (
    Console(),
    Webhook(),
)

CHANNELS: Final[Mapping[str, Channel]] = {channel.name: channel for channel in _ALL}
