"""What keeps an alert from people, in the words of `suppressed_by`. Pure.

It is one thing at a time: `silence:3` keeps an alert from having a ticket; `flap`, `storm:12` (its ticket) and
`inhibition:7` (an alert of a service it depends on) leave it one, and page nobody for it.
"""

from typing import Final

SILENCE: Final = "silence"
STORM: Final = "storm"
INHIBITION: Final = "inhibition"
FLAP: Final = "flap"


def by(what: str, number: int) -> str:
    """What `suppressed_by` says of one of a kind."""
    return f"{what}:{number}"


def parts(suppressed_by: str | None) -> tuple[str, int | None]:
    """The kind of what suppresses, empty for nothing, and which one of its kind, if they are numbered."""
    what, _, which = (suppressed_by or "").partition(":")
    return what, int(which) if which else None


def alike(what: str) -> str:
    """The pattern that any one of a kind is LIKE."""
    return f"{what}:%"


def has_no_ticket(suppressed_by: str | None) -> bool:
    """Whether what suppresses an alert keeps it from having a ticket as well."""
    return parts(suppressed_by)[0] == SILENCE
