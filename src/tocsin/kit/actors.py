"""Who does something: every change names its actor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody or something that acts. `kind` is `system`, `local`, `key`, or the way somebody answered a page:
    `link`, `slack`, `phone`; `credential` scopes idempotency keys."""

    kind: str
    name: str

    @property
    def credential(self) -> str:
        return f"{self.kind}:{self.name}"

    def __str__(self) -> str:
        return self.name if self.kind == "system" else f"{self.kind}:{self.name}"


SYSTEM = Actor("system", "system")
