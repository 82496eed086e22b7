"""Where the variables of a template are: a message with other words in these places is found without more ado."""

from typing import Final

import msgspec

from tocsin.alerts.skeletons import VARIABLE, Tokens, is_word, settled

MAX_SHAPES: Final = 16  # of one length and first word
MAX_MASKED: Final = 20_000

Columns = tuple[int, ...]


class Shapes(msgspec.Struct):
    """The variable places by length and first word, and what stands around them."""

    columns: dict[tuple[int, str], list[Columns]] = {}
    masked: dict[Tokens, int] = {}

    def add(self, row: Tokens, columns: Columns, group: int) -> None:
        """From now on, whatever differs from the row in these places only is of this group."""
        if len(self.masked) >= MAX_MASKED:
            return
        shapes = self.columns.setdefault((len(row), "" if 0 in columns else row[0]), [])
        if columns not in shapes:
            if len(shapes) >= MAX_SHAPES:
                return
            shapes.append(columns)
        self.masked[with_variables(row, columns)] = group

    def match(self, tokens: Tokens) -> tuple[Tokens, int] | None:
        """The tokens with their variable places masked, and the group."""
        if not tokens or not self.masked:
            return None
        for first in (tokens[0], ""):
            for columns in self.columns.get((len(tokens), first), ()):
                masked = with_variables(tokens, columns)
                group = self.masked.get(masked)
                if group is not None:
                    return masked, group
        return None


def with_variables(tokens: Tokens, columns: Columns) -> Tokens:
    found = list(tokens)
    for at in columns:
        found[at] = VARIABLE
    return tuple(found)


def columns_between(tokens: Tokens, template: Tokens) -> Columns:
    """Which words of the tokens are variable in the template; none where that isn't all the difference."""
    columns: list[int] = []
    rest = iter(template)
    wanted = next(rest, None)
    for at, token in enumerate(tokens):
        if token == wanted:
            wanted = next(rest, None)
        elif is_word(token):
            columns.append(at)
            if wanted == VARIABLE:
                wanted = next(rest, None)
    found = tuple(columns)
    return found if settled(with_variables(tokens, found)) == template else ()
