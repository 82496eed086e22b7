"""What is declared of a service: who looks after it, how much depends on it, what it depends on. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.query.letters import fold

MAX_SERVICES: Final = 10_000
MAX_DEPENDS_ON: Final = 100
MAX_STEPS: Final = 32
MAX_NAME_CHARS: Final = 256
TIERS: Final = range(1, 6)
_URL: Final = re.compile(r"https?://[^\s\x00-\x1f]{1,1990}")
_RESERVED: Final = "/dependencies"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A service as people declare it. `name` is the one that its records carry, in any case.

    `tier` is 1 for what matters most to 5. What it `depends_on` need not be declared itself.
    """

    name: str
    team: str | None = None
    tier: int | None = None
    depends_on: tuple[str, ...] = ()
    runbook_url: str | None = None
    description: str = ""

    @property
    def key(self) -> str:
        """What is the same for all spellings of the name."""
        return fold(self.name)

    @property
    def upstreams(self) -> dict[str, str]:
        """What it depends on: key -> name."""
        return {fold(name): name for name in self.depends_on}

    def facts(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {field: getattr(self, field) for field in DECLARED} | {"depends_on": list(self.depends_on)}


DECLARED: Final = tuple(field.name for field in fields(Declaration))


def tidied(declaration: Declaration) -> Declaration:
    """The same, with what it depends on in the order of the names. Raises Invalid, which names all that is wrong."""
    found = [FieldError(pointer, detail) for pointer, look in _CHECKS for detail in look(declaration)]
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))
    values = {field: getattr(declaration, field) for field in DECLARED}
    return Declaration(**values | {"depends_on": tuple(sorted(declaration.depends_on, key=fold))})


def name_fault(name: str) -> str | None:
    """What is wrong with a name: it must be one that records carry, and fit into a path."""
    if not 0 < len(name) <= MAX_NAME_CHARS or name != name.strip() or not name.isprintable():
        return f"expected 1 to {MAX_NAME_CHARS} printable characters without blanks around them"
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        return "holds an empty part, '.' or '..' between slashes"
    if fold(name).endswith(_RESERVED):
        return f"can't end with {_RESERVED}"
    return None


def check_name(name: str) -> None:
    """Raises Invalid for what no service can be called."""
    fault = name_fault(name)
    if fault is not None:
        raise Invalid(f"name: {fault}", errors=(FieldError("name", fault),))


def _name(declaration: Declaration) -> list[str]:
    fault = name_fault(declaration.name)
    return [] if fault is None else [fault]


def _depends_on(declaration: Declaration) -> list[str]:
    names = declaration.depends_on
    if len(names) > MAX_DEPENDS_ON:
        return [f"has {len(names)} names; expected at most {MAX_DEPENDS_ON}"]
    faults = [f"{name[:40]!r}: {fault}" for name in names if (fault := name_fault(name)) is not None]
    keys = [fold(name) for name in names]
    twice = [f"{name!r} is named twice" for name, key in zip(names, keys, strict=True) if keys.count(key) > 1]
    itself = ["a service can't depend on itself"] if declaration.key in keys else []
    return faults[:1] or twice[:1] or itself


def _tier(declaration: Declaration) -> list[str]:
    return [] if declaration.tier is None or declaration.tier in TIERS else ["expected 1 (matters most) to 5"]


def _runbook(declaration: Declaration) -> list[str]:
    fits = declaration.runbook_url is None or _URL.fullmatch(declaration.runbook_url)
    return [] if fits else ["expected an http(s) address"]


_CHECKS: Final[tuple[tuple[str, Callable[[Declaration], list[str]]], ...]] = (
    ("/name", _name),
    ("/depends_on", _depends_on),
    ("/tier", _tier),
    ("/runbook_url", _runbook),
)
