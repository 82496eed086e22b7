"""How templates come about: the group of a skeleton, found, made, or made wider because of it."""

from collections.abc import Iterable
from typing import Final

import msgspec

from tocsin.alerts.columns import Columns, Table, families
from tocsin.alerts.groups import Groups
from tocsin.alerts.growth import Growth
from tocsin.alerts.holes import Hole, Holes, filled, holes_of
from tocsin.alerts.pairs import Pairs
from tocsin.alerts.shapes import Shapes, columns_between, with_variables
from tocsin.alerts.skeletons import VARIABLE, Tokens, is_word, settled

MAX_TEMPLATES: Final = 5_000
MAX_LIVE_TOKENS: Final = 150_000  # of all templates together, so that looking at all of them stays quick
MAX_COARSE: Final = 256
MAX_TWIN_PLACES: Final = 8
_FIRST_SWEEP: Final = 32


class Templates(msgspec.Struct):
    """All that was learned. A template is a skeleton with a variable wherever one is known to be."""

    groups: Groups = msgspec.field(default_factory=Groups)
    holes: Holes = msgspec.field(default_factory=Holes)
    pairs: Pairs = msgspec.field(default_factory=Pairs)
    columns: Columns = msgspec.field(default_factory=Columns)
    shapes: Shapes = msgspec.field(default_factory=Shapes)
    growth: Growth = msgspec.field(default_factory=Growth)
    live: dict[Tokens, int] = {}
    live_tokens: int = 0
    coarse: dict[str, int] = {}  # by first word, once there is no room for more templates
    fresh: list[tuple[Tokens, int]] = []  # made, but not yet compared with the others
    until_sweep: int = _FIRST_SWEEP

    def group_of(self, skeleton: Tokens) -> int:
        """The group of a skeleton. Whatever it teaches about others is drawn before this returns."""
        group = self.known_group_of(skeleton)
        if group is not None:
            return group
        reduced = self.pairs.reduced(skeleton)
        for name in reduced.names:
            self.holes.learn(name)
        template = self._general(reduced.skeleton)
        group = self._group_for(template)
        for before, now in reduced.members:
            self._replace(before, now)
        columns = columns_between(skeleton, template)
        if columns:
            self.shapes.add(skeleton, columns, group)
        self._compare()
        return group

    def known_group_of(self, skeleton: Tokens) -> int | None:
        """The group of a skeleton that has nothing to teach."""
        group = self.live.get(skeleton)
        if group is not None:
            return group
        matched = self.shapes.match(skeleton)
        return None if matched is None else matched[1]

    def _replace(self, before: Tokens, now: Tokens) -> None:
        group = self.live.get(before, self.live.get(self._general(before)))
        if group is not None:
            self._widen([group], self._general(now))

    def _general(self, tokens: Tokens) -> Tokens:
        """The tokens with a variable wherever one is known to be."""
        while True:
            hole = self._variable_hole(tokens)
            if hole is not None:
                for value in tokens[hole.start : hole.stop]:
                    self.holes.learn(value)
                tokens = settled(filled(tokens, hole))
                continue
            wider = self._wider(tokens)
            if wider is None or wider == tokens:
                return tokens
            tokens = wider

    def _variable_hole(self, tokens: Tokens) -> Hole | None:
        variable = self.holes.variable
        if not variable:
            return None
        for hole in holes_of(tokens):
            if hole.key in variable and tokens[hole.start : hole.stop] != (VARIABLE,):
                return hole
        return None

    def _wider(self, tokens: Tokens) -> Tokens | None:
        cut = self.growth.cut(tokens)
        if cut is not None:
            return cut
        matched = self.shapes.match(tokens)
        return None if matched is None else settled(matched[0])

    def _group_for(self, template: Tokens) -> int:
        """The group of a template, made if need be and if there is room."""
        group = self.live.get(template)
        if group is not None:
            return self.groups.find(group)
        return self._make(template) if self._has_room(1) else self._coarse_group(template)

    def _has_room(self, times: int) -> bool:
        few = len(self.live) < times * MAX_TEMPLATES and self.live_tokens < times * MAX_LIVE_TOKENS
        return few and not self.groups.full

    def _make(self, template: Tokens) -> int:
        group = self.live[template] = self.groups.make(template)
        self.live_tokens += len(template)
        self.fresh.append((template, group))
        return group

    def _coarse_group(self, template: Tokens) -> int:
        first = next(filter(is_word, template), "")
        if first not in self.coarse and len(self.coarse) >= MAX_COARSE:
            first = ""
        if first not in self.coarse:
            self.coarse[first] = self.groups.make((first, VARIABLE) if first else (VARIABLE,))
        return self.groups.find(self.coarse[first])

    def _widen(self, groups: Iterable[int], template: Tokens) -> int | None:
        """Let the template's group stand for all of these. What makes others superfluous may exceed the room a bit."""
        general = self.live.get(template)
        if general is None:
            if not self._has_room(2):
                return None
            general = self._make(template)
        for group in groups:
            self.groups.merge(general, group)
        return self.groups.find(general)

    def _compare(self) -> None:
        """Compare new templates with all others, and those that come of it, until nothing new does."""
        while self.fresh:
            fresh, self.fresh = self.fresh, []
            grown: list[Table] = []
            for template, group in fresh:
                self._look_at_holes(template, group)
                if template:
                    grown += self.columns.add(template)
            for table in grown:
                self._look_at_columns(table)
            self.until_sweep -= len(fresh)
            if self.until_sweep <= 0:
                self._sweep()
                self.until_sweep = max(_FIRST_SWEEP, len(self.live) // 4)

    def _look_at_holes(self, template: Tokens, group: int) -> None:
        for hole in holes_of(template):
            if hole.key not in self.holes.variable:
                values = self.holes.record(hole, " ".join(template[hole.start : hole.stop]), group)
                if values is not None and self.holes.ripe(template, hole, values):
                    self._open(template, hole, values)
        twins = self._twin_places(template)
        if twins is not None:
            masked = with_variables(template, twins)
            alike = [one for row, one in self.live.items() if len(row) == len(masked) and _fits(row, masked)]
            general = self._widen(alike, settled(masked))
            if general is not None:
                self.shapes.add(template, twins, general)

    def _open(self, template: Tokens, hole: Hole, values: dict[str, int]) -> None:
        self.holes.open(hole, values)
        self._widen(values.values(), settled(filled(template, hole)))

    def _twin_places(self, template: Tokens) -> tuple[int, int] | None:
        """Two places where the same two words stand in every combination: both are variable."""
        places = [
            (hole.start, seen)
            for hole in holes_of(template)
            if hole.stop == hole.start + 1 and len(seen := self.holes.seen(hole)) > 1
        ][:MAX_TWIN_PLACES]
        for at, (first, seen) in enumerate(places):
            for second, other in places[at + 1 :]:
                for word in seen:
                    if word in other and self._has_mirror(template, first, second, word):
                        return first, second
        return None

    def _has_mirror(self, template: Tokens, first: int, second: int, word: str) -> bool:
        """Whether there is the same template with its two words (one is `word`) each replaced by the other."""
        one, two = template[first], template[second]
        if word == one or VARIABLE in {word, one, two} or two not in {one, word}:
            return False
        mirrored = list(template)
        mirrored[first] = word
        mirrored[second] = one if two == word else word
        return tuple(mirrored) in self.live

    def _look_at_columns(self, table: Table) -> None:
        rows = [row for row in table.rows if row in self.live and self._general(row) == row]
        if not self.columns.keep(table, rows):
            return
        for columns, members in families(rows, self.holes.weight):
            template = settled(with_variables(members[0], columns))
            general = self._widen([self.live[member] for member in members], template)
            if general is not None:
                self.shapes.add(members[0], columns, general)

    def _sweep(self) -> None:
        """Look at all templates again with what was learned since."""
        for template, group in list(self.live.items()):
            if not self._drop_if_covered(template, group):
                for hole in holes_of(template):
                    values = self.holes.values.get(hole.key)
                    if values is not None and self.holes.ripe(template, hole, values):
                        self._open(template, hole, values)
        lines, find = self.groups.lines, self.groups.find
        if self.growth.look_for([(template, lines[find(group)]) for template, group in self.live.items()]):
            for template, group in list(self.live.items()):
                self._drop_if_covered(template, group)
        self.columns.prune(self.live.__contains__)

    def _drop_if_covered(self, template: Tokens, group: int) -> bool:
        """Forget a template that a wider one stands for."""
        general = self._general(template)
        if general == template or self._widen([group], general) is None:
            return False
        del self.live[template]
        self.live_tokens -= len(template)
        return True


def _fits(row: Tokens, masked: Tokens) -> bool:
    return all(there in {here, VARIABLE} for here, there in zip(row, masked, strict=True))
