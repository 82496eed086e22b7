"""What calling somebody asks of a person and of their ways to be reached. Pure."""

from datetime import datetime
from typing import Protocol


class Person(Protocol):
    """Somebody who can be called."""

    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str | None: ...
    @property
    def time_zone(self) -> str: ...
    def is_away(self, at: datetime) -> bool: ...


class Method(Protocol):
    """A way to reach somebody; one without `verified_at` is not known to work."""

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def verified_at(self) -> datetime | None: ...
    @property
    def disabled_reason(self) -> str | None: ...
