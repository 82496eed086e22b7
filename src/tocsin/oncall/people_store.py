"""Every query about users, their contact methods and teams."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from tocsin.kit.clock import iso
from tocsin.oncall.model import contact_codes, contact_methods, team_members, teams
from tocsin.oncall.model import users as user_rows
from tocsin.oncall.people import Away, ContactMethod, Team, User
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 500
_ONCALL: Final = "oncall"
_METHOD: Final = (
    contact_methods.c.id,
    contact_methods.c.user,
    contact_methods.c.kind,
    contact_methods.c.address,
    contact_methods.c.verified_at,
    contact_methods.c.disabled_reason,
    contact_methods.c.created_at,
)


def lock(tx: Tx) -> None:
    """Whoever else changes people, teams or schedules waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == _ONCALL).values(value=counters.c.value + 1))


def user(tx: ReadTx, name: str) -> User | None:
    """A user, also one that was removed (`removed`)."""
    found = tx.execute(select(user_rows).where(user_rows.c.name == name)).one_or_none()
    return None if found is None else _user_of(found)


def _user_of(row: Row[Any]) -> User:
    values = dict(row._mapping)
    away = tuple(
        Away(datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"]), one["note"])
        for one in values.pop("away")
    )
    return User(**values, away=away, removed=values["removed_at"] is not None)


def users(tx: ReadTx, names: Collection[str]) -> dict[str, User]:
    """Those of these users that there are, or were."""
    wanted, found = sorted(set(names)), {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = user_rows.c.name.in_(wanted[start : start + IN_CLAUSE])
        found.update({row.name: _user_of(row) for row in tx.execute(select(user_rows).where(inside))})
    return found


def page_of_users(tx: ReadTx, *, after: str, limit: int) -> list[User]:
    """Users by name, without those that were removed."""
    statement = select(user_rows).where(user_rows.c.removed_at.is_(None), user_rows.c.name > after)
    return [_user_of(row) for row in tx.execute(statement.order_by(user_rows.c.name).limit(limit))]


def put_user(tx: Tx, values: Mapping[str, Any], *, before: User | None) -> None:
    """Write what is said of a user. One that was removed is there again."""
    row: dict[str, Any] = {**values, "updated_at": tx.now, "updated_by": str(tx.actor), "removed_at": None}
    if before is None:
        tx.execute(insert(user_rows).values(**row, version=1, created_at=tx.now))
    else:
        mine = user_rows.c.name == before.name
        tx.execute(update(user_rows).where(mine).values(**row, version=before.version + 1))


def away_values(away: Iterable[Away]) -> list[dict[str, str]]:
    """Away dates as they are kept."""
    return [{"start": iso(one.start), "end": iso(one.end), "note": one.note} for one in away]


def remove_user(tx: Tx, found: User) -> None:
    """Take a user out, with all addresses; the name stays for what is past."""
    ids = [method.id for method in methods_of(tx, [found.name]).get(found.name, ())]
    for method_id in ids:
        remove_method(tx, method_id)
    row: dict[str, Any] = {
        "removed_at": tx.now,
        "email": None,
        "away": [],
        "updated_at": tx.now,
        "updated_by": str(tx.actor),
    }
    tx.execute(update(user_rows).where(user_rows.c.name == found.name).values(version=found.version + 1, **row))


# Contact methods.


def methods_of(tx: ReadTx, names: Collection[str]) -> dict[str, list[ContactMethod]]:
    """The contact methods of these users, in the order they were added, verified or not."""
    wanted, found = sorted(set(names)), dict[str, list[ContactMethod]]()
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = contact_methods.c.user.in_(wanted[start : start + IN_CLAUSE])
        for row in tx.execute(select(*_METHOD).where(inside).order_by(contact_methods.c.id)):
            found.setdefault(row.user, []).append(ContactMethod(**row._mapping))
    return found


def method(tx: ReadTx, method_id: int) -> ContactMethod | None:
    found = tx.execute(select(*_METHOD).where(contact_methods.c.id == method_id)).one_or_none()
    return None if found is None else ContactMethod(**found._mapping)


def methods(tx: ReadTx, ids: Collection[int]) -> list[ContactMethod]:
    """The contact methods of these numbers that there are."""
    wanted, found = sorted(set(ids)), list[ContactMethod]()
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = contact_methods.c.id.in_(wanted[start : start + IN_CLAUSE])
        found += [ContactMethod(**row._mapping) for row in tx.execute(select(*_METHOD).where(inside))]
    return found


def person_at(tx: ReadTx, kind: str, address: str) -> str | None:
    """Who is reached there, if one person alone has proved that they are."""
    mine = (contact_methods.c.kind == kind) & (contact_methods.c.address == address)
    statement = select(contact_methods.c.user).where(mine, contact_methods.c.verified_at.is_not(None)).distinct()
    found = tx.execute(statement).scalars().all()
    return found[0] if len(found) == 1 else None


def add_method(tx: Tx, user_name: str, kind: str, address: str) -> int:
    row = {"user": user_name, "kind": kind, "address": address, "created_at": tx.now, "code_attempts": 0}
    key = tx.execute(insert(contact_methods).values(**row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def set_method(tx: Tx, method_id: int, **values: Any) -> None:
    tx.execute(update(contact_methods).where(contact_methods.c.id == method_id).values(**values))


def remove_method(tx: Tx, method_id: int) -> None:
    drop_code(tx, method_id)
    tx.execute(delete(contact_methods).where(contact_methods.c.id == method_id))


# Codes that verify them.


def code_state(tx: Tx, method_id: int) -> tuple[str | None, datetime | None, int]:
    """The hash of a method's code, when it was asked for, and how often it was tried. Nobody else tries meanwhile."""
    c = contact_methods.c
    statement = select(c.code_hash, c.code_asked_at, c.code_attempts).where(c.id == method_id).with_for_update()
    row = tx.execute(statement).one()
    return row.code_hash, row.code_asked_at, row.code_attempts


def put_code(tx: Tx, method_id: int, code: str, expires_at: datetime) -> None:
    """Leave a code for whoever sends it."""
    drop_code(tx, method_id)
    tx.execute(insert(contact_codes).values(method_id=method_id, code=code, expires_at=expires_at))


def code_to_send(tx: ReadTx, method_id: int) -> str | None:
    """The code that is to be sent by a method; None when it was sent, or has expired."""
    c = contact_codes.c
    statement = select(c.code).where(c.method_id == method_id, c.expires_at > tx.now)
    return tx.execute(statement).scalar_one_or_none()


def drop_code(tx: Tx, method_id: int) -> None:
    """A code was sent, or nobody needs it any more."""
    tx.execute(delete(contact_codes).where(contact_codes.c.method_id == method_id))


# Teams.


def members(tx: ReadTx, team: str) -> list[str]:
    """Who is in a team, in its order."""
    return _members(tx, [team]).get(team, [])


def _members(tx: ReadTx, names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for start in range(0, len(names), IN_CLAUSE):
        inside = team_members.c.team.in_(names[start : start + IN_CLAUSE])
        statement = select(team_members).where(inside).order_by(team_members.c.team, team_members.c.place)
        for row in tx.execute(statement):
            found.setdefault(row.team, []).append(row.user)
    return found


def team(tx: ReadTx, name: str) -> Team | None:
    found = tx.execute(select(teams).where(teams.c.name == name)).one_or_none()
    return None if found is None else Team(**found._mapping, members=tuple(members(tx, name)))


def page_of_teams(tx: ReadTx, *, after: str, limit: int) -> list[Team]:
    rows = list(tx.execute(select(teams).where(teams.c.name > after).order_by(teams.c.name).limit(limit)))
    mine = _members(tx, [row.name for row in rows])
    return [Team(**row._mapping, members=tuple(mine.get(row.name, ()))) for row in rows]


def teams_of(tx: ReadTx, user_name: str) -> list[str]:
    """The teams a user is in, by name."""
    statement = select(team_members.c.team).where(team_members.c.user == user_name).order_by(team_members.c.team)
    return list(tx.execute(statement).scalars())


def put_team(tx: Tx, name: str, display_name: str, who: Sequence[str], *, before: Team | None) -> None:
    row = {"display_name": display_name, "updated_at": tx.now, "updated_by": str(tx.actor)}
    if before is None:
        tx.execute(insert(teams).values(name=name, version=1, created_at=tx.now, **row))
    else:
        tx.execute(update(teams).where(teams.c.name == name).values(version=before.version + 1, **row))
        tx.execute(delete(team_members).where(team_members.c.team == name))
    if who:
        places = [{"team": name, "user": one, "place": place} for place, one in enumerate(who)]
        tx.execute(insert(team_members), places)


def remove_team(tx: Tx, name: str) -> None:
    tx.execute(delete(team_members).where(team_members.c.team == name))
    tx.execute(delete(teams).where(teams.c.name == name))
