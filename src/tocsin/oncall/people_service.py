"""Use cases of people: users with their contact methods and away dates, and teams."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import (
    ContactMethodAdded,
    ContactMethodCodeWanted,
    ContactMethodDisabled,
    ContactMethodEnabled,
    ContactMethodRemoved,
    ContactMethodVerified,
    TeamRemoved,
    TeamSaved,
    UserRemoved,
    UserSaved,
)
from tocsin.kit.zones import is_zone
from tocsin.oncall import people_store as store
from tocsin.oncall import reference_service, references, schedule_store
from tocsin.oncall.addresses import address_of, is_email
from tocsin.oncall.codes import AGAIN_AFTER, DIGITS, GOOD_FOR, Pending, Verdict, hashed, judged
from tocsin.oncall.people import MAX_AWAY, MAX_MEMBERS, Away, ContactMethod, MethodKind, Team, User
from tocsin.oncall.references import Reference, Referred
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

CODE_END: Final = "contact.code_end"
MAX_METHODS: Final = 20
LONGEST_AWAY: Final = timedelta(days=1000)
_USERS: Final = "users"
_TEAMS: Final = "teams"
_SAID: Final = ("display_name", "email", "time_zone", "away")


@dataclass(frozen=True, slots=True)
class Profile:
    """What is said of a user."""

    display_name: str = ""
    email: str | None = None
    time_zone: str = "UTC"
    away: tuple[Away, ...] = ()


def get(tx: ReadTx, name: str) -> User:
    """One user. Raises NotFound, also for one that was removed."""
    found = store.user(tx, name)
    if found is None or found.removed:
        raise NotFound(what="user", id=name)
    return found


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[User], str | None]:
    """A page of users by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _USERS, str)[0])
    found = database.read(lambda tx: store.page_of_users(tx, after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_USERS, items[-1].name) if len(found) > limit else None


def save(tx: Tx, name: str, profile: Profile, *, seen_version: int | None = None) -> tuple[User, bool]:
    """Make or replace a user, and whether that is new. What changes nothing makes no version.

    Raises Invalid, PreconditionFailed.
    """
    _check(profile)
    store.lock(tx)
    before = store.user(tx, name)
    is_new = before is None or before.removed
    _agree(0 if before is None or is_new else before.version, seen_version)
    values = {
        "name": name,
        "display_name": profile.display_name or name,
        "email": profile.email,
        "time_zone": profile.time_zone,
        "away": store.away_values(profile.away),
    }
    changed: tuple[str, ...] = ()
    if before is not None and not is_new:
        old = {field: getattr(before, field) for field in _SAID} | {"away": store.away_values(before.away)}
        changed = tuple(field for field in _SAID if values[field] != old[field])
        if not changed:
            return before, False
    store.put_user(tx, values, before=before)
    found = get(tx, name)
    tx.emit(UserSaved(name, version=found.version, changed=changed))
    return found, is_new


def add_away(tx: Tx, name: str, away: Away) -> User:
    """Note that a user is away, beside what is noted already. Raises NotFound, Invalid."""
    before = get(tx, name)
    if away.end <= tx.now:
        raise _invalid("/end", "expected an end that is still to come")
    return save(tx, name, _profile(before, (*before.away, away)))[0]


def end_away(tx: Tx, name: str, start: datetime) -> User:
    """Take back that a user is away from `start` on. Raises NotFound."""
    before = get(tx, name)
    left = tuple(one for one in before.away if one.start != start)
    if left == before.away:
        raise NotFound(what=f"away date of {name} from", id=start.isoformat())
    return save(tx, name, _profile(before, left))[0]


def _profile(user: User, away: Iterable[Away]) -> Profile:
    return Profile(user.display_name, user.email, user.time_zone, tuple(sorted(away, key=lambda one: one.start)))


def _check(profile: Profile) -> None:
    errors: list[FieldError] = []
    if not is_zone(profile.time_zone):
        shown = profile.time_zone[:40]
        errors.append(FieldError("/time_zone", f"{shown!r} is no time zone; expected one such as Europe/Lisbon"))
    if profile.email is not None and not is_email(profile.email):
        errors.append(FieldError("/email", "expected an e-mail address, such as ana@example.org"))
    if len(profile.away) > MAX_AWAY:
        errors.append(FieldError("/away", f"expected at most {MAX_AWAY} away dates"))
    for place, away in enumerate(profile.away[:MAX_AWAY]):
        if away.end <= away.start:
            errors.append(FieldError(f"/away/{place}/end", "expected an end after the start"))
        elif away.end - away.start > LONGEST_AWAY:
            errors.append(FieldError(f"/away/{place}/end", f"expected at most {LONGEST_AWAY.days} days"))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> User:
    """Remove a user, with all addresses and out of all teams. Raises NotFound, PreconditionFailed.

    Schedules and policies that name them still do: nobody is called in their place, which is a problem that the
    schedule shows.
    """
    store.lock(tx)
    found = get(tx, name)
    _agree(found.version, seen_version)
    teams = store.teams_of(tx, name)
    for team in [get_team(tx, one) for one in teams]:
        _put_team(tx, team.name, team.display_name, [one for one in team.members if one != name], before=team)
    store.remove_user(tx, found)
    schedules = schedules_naming(tx, name)
    for schedule in schedules:
        schedule_store.look_soon(tx, schedule)
    tx.emit(
        UserRemoved(
            name,
            version=found.version + 1,
            schedules=schedules,
            escalation_policies=policies_naming(tx, name),
            teams=tuple(teams),
        )
    )
    return found


def policies_naming(tx: ReadTx, name: str) -> tuple[str, ...]:
    """The escalation policies that call a user by name."""
    return tuple(one.name for one in references.naming(Referred.USER, name, reference_service.policies(tx)))


def schedules_naming(tx: ReadTx, name: str) -> tuple[str, ...]:
    """The schedules in which a user has turns, or is put on call by an override that is not over."""
    return tuple(one.name for one in references.naming(Referred.USER, name, reference_service.schedules(tx)))


def _agree(version: int, seen_version: int | None) -> None:
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(f"{pointer[1:]}: {detail}", errors=(FieldError(pointer, detail),))


# Contact methods.


def methods(tx: ReadTx, name: str) -> list[ContactMethod]:
    """A user's contact methods, in the order they were added. Raises NotFound."""
    get(tx, name)
    return store.methods_of(tx, [name]).get(name, [])


def method(tx: ReadTx, name: str, method_id: int) -> ContactMethod:
    """One contact method of a user. Raises NotFound."""
    found = store.method(tx, method_id)
    if found is None or found.user != name:
        raise NotFound(what=f"contact method of {name} with the id", id=method_id)
    return found


def add_method(tx: Tx, name: str, kind: MethodKind, address: str) -> ContactMethod:
    """Add a way to reach a user; it is used once it is verified. Raises NotFound, Invalid, Conflict."""
    try:
        text = address_of(kind, address)
    except ValueError as error:
        raise _invalid("/address", str(error)) from error
    store.lock(tx)
    there = methods(tx, name)
    if len(there) >= MAX_METHODS:
        raise Conflict(detail=f"{name} has {MAX_METHODS} contact methods, which is as many as there may be")
    if any((one.kind, one.address) == (kind.value, text) for one in there):
        raise Conflict(detail=f"{name} has this contact method already")
    method_id = store.add_method(tx, name, kind.value, text)
    tx.emit(ContactMethodAdded(name, method_id=method_id, method=kind.value))
    return method(tx, name, method_id)


def ask_code(tx: Tx, name: str, method_id: int) -> datetime:
    """Have a new code sent by a contact method; until when it is good. Raises NotFound, Conflict.

    Of the code a salted hash is kept; in the clear it waits in `contact_codes` for whoever sends it.
    """
    found = method(tx, name, method_id)
    if found.verified_at is not None:
        raise Conflict(detail="this contact method is verified already")
    _, asked_at, _ = store.code_state(tx, method_id)
    if asked_at is not None and tx.now < asked_at + AGAIN_AFTER:
        raise Conflict(
            detail=f"a code was asked for less than {AGAIN_AFTER.seconds} s ago; wait for it, or ask again then"
        )
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    kept = hashed(code, secrets.token_hex(16))
    expires_at = tx.now + GOOD_FOR
    store.set_method(tx, method_id, code_hash=kept, code_asked_at=tx.now, code_attempts=0)
    store.put_code(tx, method_id, code, expires_at)
    timers.put(tx, CODE_END, str(method_id), due_at=expires_at, version=0)
    tx.emit(ContactMethodCodeWanted(name, method_id=method_id, method=found.kind))
    return expires_at


def try_code(tx: Tx, name: str, method_id: int, code: str) -> Verdict:
    """Verify a contact method by the code that it was sent. A wrong one counts: the transaction must be kept.

    Raises NotFound.
    """
    found = method(tx, name, method_id)
    if found.verified_at is not None:
        return Verdict.RIGHT
    verdict = judged(code, Pending(*store.code_state(tx, method_id)), tx.now)
    if verdict is Verdict.WRONG:
        _, _, attempts = store.code_state(tx, method_id)
        store.set_method(tx, method_id, code_attempts=attempts + 1)
    if verdict is Verdict.RIGHT:
        _verified(tx, found, by_hand=False)
    return verdict


def verify_by_hand(tx: Tx, name: str, method_id: int) -> ContactMethod:
    """Take a contact method for verified: whoever may knows that it is right. Raises NotFound."""
    found = method(tx, name, method_id)
    if found.verified_at is None:
        _verified(tx, found, by_hand=True)
    return method(tx, name, method_id)


def _verified(tx: Tx, found: ContactMethod, *, by_hand: bool) -> None:
    store.set_method(tx, found.id, verified_at=tx.now, code_hash=None, code_asked_at=None, code_attempts=0)
    _forget_code(tx, found.id)
    tx.emit(ContactMethodVerified(found.user, method_id=found.id, method=found.kind, by_hand=by_hand))


def _forget_code(tx: Tx, method_id: int) -> None:
    store.drop_code(tx, method_id)
    timers.drop(tx, CODE_END, str(method_id))


def end_code(tx: Tx, timer: Timer) -> None:
    """A code has expired: nobody sends it any more."""
    store.drop_code(tx, int(timer.subject))


def disable_method(tx: Tx, method_id: int, reason: str) -> None:
    """What a contact method is for refuses it for good: it is not used until somebody enables it. Told once."""
    found = store.method(tx, method_id)
    if found is not None and found.disabled_reason is None:
        store.set_method(tx, method_id, disabled_reason=reason)
        tx.emit(ContactMethodDisabled(found.user, method_id=method_id, method=found.kind, reason=reason))


def enable_method(tx: Tx, name: str, method_id: int) -> ContactMethod:
    """Use a contact method again that was disabled. Raises NotFound."""
    found = method(tx, name, method_id)
    if found.disabled_reason is not None:
        store.set_method(tx, method_id, disabled_reason=None)
        tx.emit(ContactMethodEnabled(name, method_id=method_id, method=found.kind))
    return method(tx, name, method_id)


def remove_method(tx: Tx, name: str, method_id: int) -> ContactMethod:
    """Remove a contact method, and say what it was. Raises NotFound."""
    found = method(tx, name, method_id)
    _forget_code(tx, method_id)
    store.remove_method(tx, method_id)
    tx.emit(ContactMethodRemoved(name, method_id=method_id, method=found.kind))
    return found


# Teams.


def get_team(tx: ReadTx, name: str) -> Team:
    """One team. Raises NotFound."""
    found = store.team(tx, name)
    if found is None:
        raise NotFound(what="team", id=name)
    return found


def find_teams(database: Database, *, cursor: str | None, limit: int) -> tuple[list[Team], str | None]:
    """A page of teams by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _TEAMS, str)[0])
    found = database.read(lambda tx: store.page_of_teams(tx, after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_TEAMS, items[-1].name) if len(found) > limit else None


def save_team(
    tx: Tx, name: str, display_name: str, who: Sequence[str], *, seen_version: int | None = None
) -> tuple[Team, bool]:
    """Make or replace a team, and whether it is new. What changes nothing makes no version.

    Raises Invalid, PreconditionFailed.
    """
    if len(who) > MAX_MEMBERS:
        raise _invalid("/members", f"expected at most {MAX_MEMBERS} members")
    twice = [place for place, one in enumerate(who) if one in who[:place]]
    if twice:
        raise _invalid(f"/members/{twice[0]}", "is a member already")
    store.lock(tx)
    reference_service.check(tx, (Reference(Referred.USER, one, f"/members/{place}") for place, one in enumerate(who)))
    before = store.team(tx, name)
    _agree(0 if before is None else before.version, seen_version)
    shown = display_name or name
    if before is not None and (before.display_name, before.members) == (shown, tuple(who)):
        return before, False
    return _put_team(tx, name, shown, who, before=before), before is None


def _put_team(tx: Tx, name: str, shown: str, who: Sequence[str], *, before: Team | None) -> Team:
    store.put_team(tx, name, shown, who, before=before)
    found = get_team(tx, name)
    changed: tuple[str, ...] = ()
    if before is not None:
        changed = tuple(one for one in ("display_name", "members") if getattr(before, one) != getattr(found, one))
    tx.emit(TeamSaved(name, version=found.version, changed=changed))
    return found


def remove_team(tx: Tx, name: str, *, seen_version: int | None = None) -> Team:
    """Remove a team, and say what it was. Raises NotFound, PreconditionFailed."""
    store.lock(tx)
    found = get_team(tx, name)
    _agree(found.version, seen_version)
    store.remove_team(tx, name)
    tx.emit(TeamRemoved(name, version=found.version + 1))
    return found
