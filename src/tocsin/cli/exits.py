"""How a command ends when it can't do its work: kinds of errors, each with its exit code."""

from collections.abc import Mapping, Sequence
from typing import Final

from tocsin.kit.errors import TocsinError

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130


class CommandFailed(TocsinError):
    """{detail}"""

    exit_code = FAILED


class WrongUsage(CommandFailed):
    """{detail}"""

    exit_code = USAGE


class Unreachable(CommandFailed):
    """No answer from {url}: {reason}."""

    exit_code = UNREACHABLE


class Refused(CommandFailed):
    """{detail}"""

    exit_code = REFUSED

    def __init__(self, detail: str, *, notes: Sequence[str] = (), document: Mapping[str, object] | None = None) -> None:
        """`notes` say what is wrong with single fields, one line each; `document` is the server's own answer."""
        super().__init__(detail=detail)
        self.notes = tuple(notes)
        self.document = document or {}
