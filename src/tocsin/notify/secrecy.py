"""Settings that are never shown: how they look, and how they stay what they are when they come back so. Pure."""

from collections.abc import Collection, Mapping
from typing import Any, Final

SHOWN: Final = "***"


def masked(config: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The settings as people may see them; of an object the names stay, of a list the length."""
    return {name: _hidden(value) if name in secrets else value for name, value in config.items()}


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, SHOWN)
    if isinstance(value, list):
        return [SHOWN for _ in value]
    return value if value in (None, "") else SHOWN


def unmasked(config: Mapping[str, Any], before: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The settings that are meant: a secret that comes as it was shown is what it was `before`."""
    return {name: _meant(value, before.get(name)) if name in secrets else value for name, value in config.items()}


def moved(
    config: Mapping[str, Any], before: Mapping[str, Any], *, where: Collection[str], secrets: Collection[str]
) -> list[str]:
    """Settings that say where secrets are sent, and say another place than `before`. What was given for one place is
    not kept for another: else whoever may edit the settings could have the secrets sent to themselves."""
    return [
        name
        for name in sorted(where)
        if config.get(name) != before.get(name) and not (name in secrets and config.get(name) == SHOWN)
    ]


def _meant(value: Any, before: Any) -> Any:
    if isinstance(value, Mapping):
        kept = before if isinstance(before, Mapping) else {}
        return {name: kept.get(name, one) if one == SHOWN else one for name, one in value.items()}
    if isinstance(value, list):
        # By place, and only while there are as many: else nobody could say which is which.
        kept_list = before if isinstance(before, list) and len(before) == len(value) else value
        return [was if one == SHOWN else one for one, was in zip(value, kept_list, strict=True)]
    return before if value == SHOWN and before is not None else value


def still_hidden(config: Mapping[str, Any], secrets: Collection[str]) -> list[str]:
    """Secrets that came as they are shown although there was nothing before: pointers into `config`."""
    found = []
    for name in sorted(secrets):
        value = config.get(name)
        if value == SHOWN:
            found.append(f"/{name}")
        elif isinstance(value, Mapping):
            found += [f"/{name}/{part}" for part, one in value.items() if one == SHOWN]
        elif isinstance(value, list):
            found += [f"/{name}/{place}" for place, one in enumerate(value) if one == SHOWN]
    return found
