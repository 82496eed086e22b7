"""The forms that tickets are imported from: one line each."""

from collections.abc import Callable, Mapping
from typing import Final

from tocsin.tickets.sources import generic, jira, servicenow, statuspage, tocsin
from tocsin.tickets.sources.rows import Mapped, Read

FORMATS: Final[Mapping[str, Callable[[bytes, Mapped], Read]]] = {
    "servicenow": servicenow.read,
    "jira": jira.read,
    "status": statuspage.read,
    "csv": generic.read_csv,
    "json": generic.read_json,
    "tocsin": tocsin.read,
}
