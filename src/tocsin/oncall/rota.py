"""Who stands behind a name: what escalation and paging ask of people and schedules, given as functions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tocsin.oncall.person import Method, Person
from tocsin.storage.tx import ReadTx


@dataclass(frozen=True, slots=True)
class Rota:
    """`on_call`: who a schedule calls at an instant (raises NotFound without such a schedule). `members` of a team
    (the same). `people` of these names that there are. `methods`: their ways to be reached, in their order."""

    on_call: Callable[[ReadTx, str, datetime], Sequence[str]]
    members: Callable[[ReadTx, str], Sequence[str]]
    people: Callable[[ReadTx, Collection[str]], Mapping[str, Person]]
    methods: Callable[[ReadTx, Collection[str]], Mapping[str, Sequence[Method]]]
