"""Declared services as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.alerts.declarations import Declaration
from tocsin.web.schemas import In, Name, Out, Prose, no_nul

_Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(no_nul)]
_ServiceName = Annotated[str, StringConstraints(max_length=1000), AfterValidator(no_nul)]


class DeclarationIn(In):
    """What is declared of a service. A field that is absent has its default."""

    team: Name | None = Field(None, description="Who looks after it.", examples=["payments"])
    tier: int | None = Field(None, description="1 for what matters most, to 5.", examples=[1])
    depends_on: list[_ServiceName] = Field(
        default_factory=list,
        description="The services without which it can't work; they need not be declared yet.",
        examples=[["postgres"]],
    )
    runbook_url: _Text | None = Field(None, examples=["https://wiki.example.org/payments"])
    description: Prose = ""

    def declaration(self, name: str) -> Declaration:
        """What is meant; it is checked when it is saved."""
        values = {field: getattr(self, field) for field in DeclarationIn.model_fields}
        return Declaration(name, **values | {"depends_on": tuple(self.depends_on)})


class DeclarationPatchIn(In):
    """What to change. A field that is absent stays; null takes away what can be absent."""

    team: Name | None = None
    tier: int | None = None
    depends_on: list[_ServiceName] | None = None
    runbook_url: _Text | None = None
    description: Prose | None = None


class DeclaredServiceOut(Out):
    """A declared service. `version` is also its ETag: it grows with every change, and no other has the same."""

    name: str = Field(description="As its records carry it, in any case.", examples=["payments"])
    version: int
    team: str | None
    tier: int | None
    depends_on: list[str]
    runbook_url: str | None
    description: str
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(examples=["local:admin"])


class DeclaredServiceDetailOut(DeclaredServiceOut):
    """A declared service with what depends directly on it, and how many tickets it has that are not resolved."""

    dependants: list[str]
    open_tickets: int


class DeclaredServicePageOut(Out):
    items: list[DeclaredServiceOut]
    next: str | None


class RelativeOut(Out):
    """A service that another one depends on, or that depends on it."""

    name: str
    declared: bool = Field(description="False: somebody depends on it, and nobody declared it.")
    team: str | None
    tier: int | None
    steps: int = Field(description="1 when it is so directly.")
    way: list[str] = Field(description="The shortest one, from the service that was asked for to this one.")


class DependenciesOut(Out):
    """All that a service depends on and all that depends on it, directly or by others; the nearest first."""

    name: str
    depends_on: list[RelativeOut]
    dependants: list[RelativeOut]
