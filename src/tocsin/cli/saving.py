"""Saving what may be there already: what is not said of it stays, a file says all of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.cli.given import json_object, savable
from tocsin.cli.remote import Answer, Server


def put(
    server: Server, path: str, said: Mapping[str, Any], *, file: str | None = None, shown_only: Sequence[str] = ()
) -> tuple[Answer | None, Answer]:
    """Save it, and what it was before, if it was there; somebody else's change meanwhile is not written over.

    `shown_only` is what the server shows of it and takes nowhere. Raises as `Server.ask` and `json_object` do.
    """
    before = server.find(path)
    shown = json_object(file) if file is not None else {} if before is None else before.data
    headers = {} if before is None else {"if-match": f'"{before.data["version"]}"'}
    return before, server.ask("PUT", path, json={**savable(shown, *shown_only), **said}, headers=headers)


def given(**said: Any) -> dict[str, Any]:
    """What was said at all."""
    return {name: value for name, value in said.items() if value is not None}
