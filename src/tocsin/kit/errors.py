"""Errors that name a kind; the docstring is the text.

The edges translate: web to a problem document, CLI to one line and an exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

IN_USE_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. `pointer` is a JSON pointer (RFC 6901) into the request's body, or a name."""

    pointer: str
    detail: str


class TocsinError(Exception):
    """Something went wrong."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        text = (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(text.format(**facts))


class Invalid(TocsinError):
    """The request isn't valid: {detail}"""

    def __init__(self, detail: str, *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail=detail)
        self.errors = errors


class Malformed(Invalid):
    """The request can't be read: {detail}"""


class NotFound(TocsinError):
    """There is no {what} {id}."""


class Unreadable(NotFound):
    """The {what} {id} can't be read: it would be in {place}, which is damaged."""


class Conflict(TocsinError):
    """This conflicts with the present state: {detail}"""


class InUse(Conflict):
    """The {what} {id} is in use: {by}. Change that first, or remove it by force."""

    def __init__(self, what: str, name: str, used_by: Sequence[tuple[str, str]]) -> None:
        """`used_by`: each that names it, as its kind and its name."""
        shown = [f"{kind} {one}" for kind, one in used_by[:IN_USE_SHOWN]]
        more = [f"{len(used_by) - IN_USE_SHOWN} more"] if len(used_by) > IN_USE_SHOWN else []
        *first, last = [*shown, *more]
        names = f"{', '.join(first)} and {last} name it" if first else f"{last} names it"
        super().__init__(what=what, id=name, by=names)
        self.used_by = tuple(used_by)


class PreconditionFailed(TocsinError):
    """It changed meanwhile: its version is {version} now, If-Match named {wanted}."""


class IdempotencyMismatch(TocsinError):
    """Idempotency-Key {key} was used before with a different request."""


class Unauthenticated(TocsinError):
    """{detail}"""


class Forbidden(TocsinError):
    """{detail}"""


class TooLarge(TocsinError):
    """The body is larger than {limit} bytes{when}."""


class UnsupportedMedia(TocsinError):
    """{detail}"""


class Unavailable(TocsinError):
    """{detail}"""

    retry_after_s = 1


class Overloaded(Unavailable):
    """The intake queue is full ({queued} of {bound} bytes); try again."""


class StartRefused(TocsinError):
    """{detail}"""
