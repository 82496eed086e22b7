"""All ways to reach people, by name."""

from collections.abc import Mapping
from typing import Final

from tocsin.notify.channels.apprise import Apprise
from tocsin.notify.channels.channel import Channel
from tocsin.notify.channels.console import Console
from tocsin.notify.channels.discord import Discord
from tocsin.notify.channels.email import Email
from tocsin.notify.channels.ntfy import Ntfy
from tocsin.notify.channels.slack import Slack
from tocsin.notify.channels.teams import Teams
from tocsin.notify.channels.telegram import Telegram
from tocsin.notify.channels.twilio import Sms, Voice
from tocsin.notify.channels.webhook import Webhook

_ALL: Final[tuple[Channel, ...]] = (
    Console(),
    Webhook(),
    Email(),
    Slack(),
    Teams(),
    Telegram(),
    Ntfy(),
    Sms(),
    Voice(),
    Discord(),
    Apprise(),
)

CHANNELS: Final[Mapping[str, Channel]] = {channel.name: channel for channel in _ALL}
