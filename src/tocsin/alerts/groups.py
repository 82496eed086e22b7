"""Groups of messages: each has the template it was made for, for ever; merging lets one stand for another."""

from typing import Final

import msgspec

from tocsin.alerts.skeletons import Tokens, text_of

MAX_GROUPS: Final = 100_000  # ever made, merged ones too: about 10 MB


class Groups(msgspec.Struct):
    """A forest: a group's parent is itself, or the one that stands for it."""

    parents: list[int] = []
    lines: list[int] = []
    templates: dict[int, Tokens] = {}
    merges: list[tuple[int, int]] = []

    def make(self, template: Tokens) -> int:
        group = len(self.parents)
        self.parents.append(group)
        self.lines.append(0)
        self.templates[group] = template
        return group

    def find(self, group: int) -> int:
        """The group that stands for it now."""
        parents = self.parents
        while parents[group] != group:
            parents[group] = group = parents[parents[group]]
        return group

    def merge(self, into: int, other: int) -> bool:
        """Let `into` stand for the other from now on; False when it did already."""
        into, other = self.find(into), self.find(other)
        if into == other:
            return False
        self.parents[other] = into
        self.lines[into] += self.lines[other]
        del self.templates[other]
        self.merges.append((other, into))
        return True

    def text(self, group: int) -> str:
        return text_of(self.templates[self.find(group)])

    @property
    def full(self) -> bool:
        return len(self.parents) >= MAX_GROUPS
