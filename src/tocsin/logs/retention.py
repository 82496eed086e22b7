"""How long and how much is kept: a value, read from settings; `expiry` acts on it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final

_DURATION: Final = re.compile(r"(\d{1,6})\s*([smhdwy])", re.ASCII)
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_LONGEST: Final = timedelta(days=365_000)  # what lies so far back is still a date
_SIZE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE | re.ASCII)
_POWERS: Final[Mapping[str, int]] = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class Retention:
    """Records are kept for `age`, those of a service that `services` names (`*` stands for anything) for its own; all
    segments together up to `total_bytes`. None: without end."""

    age: timedelta | None = None
    total_bytes: int | None = None
    services: tuple[tuple[str, timedelta], ...] = ()

    def age_of(self, service: str) -> timedelta | None:
        """How long records of a service are kept: as its first match says."""
        return next((age for pattern, age in self.services if fnmatchcase(service, pattern)), self.age)

    @property
    def shortest(self) -> timedelta | None:
        """No record younger than that is removed for its age; None: none ever is."""
        return min((*(age for _, age in self.services), *([] if self.age is None else [self.age])), default=None)


def parse_retention(age: str | None, total: str | None, services: str | None) -> Retention:
    """Retention from the texts of the settings. Raises ValueError, which names the variable and what was expected."""
    return Retention(
        age=_age(age, "TOCSIN_RETENTION") if age and age.strip() else None,
        total_bytes=_size(total) if total and total.strip() else None,
        services=tuple(_service(part) for part in (services or "").split(",") if part.strip()),
    )


def _age(text: str, variable: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ValueError(f"{variable}: {text.strip()!r} is not a duration such as 12h, 30d, 4w or 1y")
    age = timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
    if age > _LONGEST:
        raise ValueError(f"{variable}: {text.strip()!r} is more than 1000y; without a duration, logs are kept for ever")
    return age


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    unit = 1 if found is None else (1024 if found[3] else 1000) ** _POWERS[(found[2] or "").lower()]
    size = 0 if found is None else int(Decimal(found[1]) * unit)
    if not size:
        raise ValueError(f"TOCSIN_RETENTION_BYTES: {text.strip()!r} is not a size such as 500MB, 50GB or 2TiB")
    return size


def _service(part: str) -> tuple[str, timedelta]:
    name, separator, age = part.rpartition("=")
    if not separator or not name.strip():
        raise ValueError(f"TOCSIN_RETENTION_SERVICES: {part.strip()!r} is not NAME=DURATION, such as audit=365d")
    literal = re.sub(r"[\[\]?]", lambda sign: f"[{sign[0]}]", name.strip())
    return literal, _age(age, "TOCSIN_RETENTION_SERVICES")
