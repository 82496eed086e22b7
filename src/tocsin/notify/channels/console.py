"""Everything to the server's own log: the default, quiet but visible."""

from collections.abc import Sequence
from typing import Final

import structlog

from tocsin.kit.errors import FieldError
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.message import Kind, Message, Receipt

# What somebody may have to act on stands out; the rest is told and no more.
_LOUD: Final = frozenset({Kind.OPENED, Kind.REOPENED, Kind.PAGE, Kind.SLA, Kind.NOTICE})

log = structlog.get_logger("tocsin.notify")


class Console:
    """Takes no settings."""

    name = "console"
    settings: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    where: frozenset[str] = frozenset()
    personal = False

    def check(self, config: Config) -> Sequence[FieldError]:
        return [FieldError(f"/{name}", "is not a setting of a console channel; it has none") for name in config]

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        tell = log.warning if message.kind in _LOUD else log.info
        tell("notification", kind=message.kind.value, title=message.title, ticket=message.ticket_id, id=message.id)
        return Receipt("written to the server's log")
