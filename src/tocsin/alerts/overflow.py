"""More groups of a rule than are kept apart: what is too many is gathered in one group that is named so. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from tocsin.alerts.detect import merge
from tocsin.alerts.grouping import fingerprint_of
from tocsin.kit.events import Matched

MAX_GROUPS: Final = 10_000
OVERFLOW: Final = "(other groups)"
OTHER_PATTERNS: Final = "(other patterns)"  # of a service, beyond those that are told apart


def overflow_of(rule: str) -> str:
    """The fingerprint of a rule's group of other groups."""
    return fingerprint_of(rule, "", OVERFLOW)


def overflowing(match: Matched) -> Matched:
    """The same records, as some of the other groups."""
    fingerprint = overflow_of(match.rule)
    return replace(
        match,
        fingerprint=fingerprint,
        correlation_key=fingerprint,
        template=OVERFLOW,
        title=f"{match.rule}: more groups than are counted one by one",
        group=(),
        key=(),
        pattern_id=None,
    )


def gathered(matches: Sequence[Matched]) -> list[Matched]:
    """All of these as other groups: one match for each rule version."""
    return merge([overflowing(match) for match in matches])


def parted(new: Sequence[Matched], room_of: Mapping[str, int]) -> tuple[list[Matched], list[Matched]]:
    """Of new groups those for which their rule still has room, first come first served, and the others."""
    in_order = sorted(new, key=lambda match: (match.first_id, match.fingerprint))
    seats = seated(((match.rule, match.fingerprint) for match in in_order), room_of)
    inside = [match for match in in_order if match.fingerprint in seats]
    return inside, [match for match in in_order if match.fingerprint not in seats]


def seated(new: Iterable[tuple[str, str]], room_of: Mapping[str, int]) -> set[str]:
    """Of new groups (rule and fingerprint), in the order they come in, those for which their rule still has room."""
    left = dict(room_of)
    seats: set[str] = set()
    for rule, fingerprint in new:
        if fingerprint not in seats and left[rule] > 0:
            left[rule] -= 1
            seats.add(fingerprint)
    return seats


def rules_of(matches: Collection[Matched]) -> list[str]:
    """The rules that these are matches of."""
    return sorted({match.rule for match in matches})
