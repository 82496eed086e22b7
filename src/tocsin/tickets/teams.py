"""Whose a ticket is until somebody says otherwise: the team of its declared service."""

from collections.abc import Iterable

from tocsin.alerts import declaration_store
from tocsin.query.letters import fold
from tocsin.storage.tx import ReadTx


def teams_of(tx: ReadTx, services: Iterable[str | None]) -> dict[str | None, str | None]:
    """The team of each of these services that is declared and has one."""
    named = {service for service in services if service is not None}
    declared = declaration_store.names(tx, {fold(service) for service in named}) if named else {}
    found: dict[str | None, str | None] = {}
    for service in named:
        declaration = declared.get(fold(service))
        if declaration is not None:
            found[service] = declaration.team
    return found
