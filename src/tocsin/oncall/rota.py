"""Who stands behind a name: what escalation and paging ask of people and schedules, given as functions."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.kit.errors import NotFound
from tocsin.oncall import people_store, schedule_service
from tocsin.oncall.person import Method, Person
from tocsin.storage.tx import ReadTx


def _all_there(_: ReadTx, names: Collection[str]) -> Collection[str]:
    """Channels belong to a later stage, which says what there is of them."""
    return names


def _nowhere(_: ReadTx) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Rota:
    """`on_call`: who a schedule calls at an instant (raises NotFound without such a schedule). `members` of a team
    (the same). `people` of these names that there are. `methods`: their ways to be reached, in their order. `channels`
    of these names that would take a message. `otherwise`: the channels that are called where nobody is."""

    on_call: Callable[[ReadTx, str, datetime], Sequence[str]]
    members: Callable[[ReadTx, str], Sequence[str]]
    people: Callable[[ReadTx, Collection[str]], Mapping[str, Person]]
    methods: Callable[[ReadTx, Collection[str]], Mapping[str, Sequence[Method]]]
    channels: Callable[[ReadTx, Collection[str]], Collection[str]] = _all_there
    otherwise: Callable[[ReadTx], Sequence[str]] = _nowhere


def _members(tx: ReadTx, team: str) -> Sequence[str]:
    found = people_store.team(tx, team)
    if found is None:
        raise NotFound(what="team", id=team)
    return found.members


def _on_call(tx: ReadTx, schedule: str, at: datetime) -> Sequence[str]:
    schedule_service.get(tx, schedule)
    return schedule_service.on_call(tx, schedule, at)


def _people(tx: ReadTx, names: Collection[str]) -> Mapping[str, Person]:
    return {name: user for name, user in people_store.users(tx, names).items() if not user.removed}


KEPT: Final = Rota(on_call=_on_call, members=_members, people=_people, methods=people_store.methods_of)
