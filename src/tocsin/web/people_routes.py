"""People over HTTP: users with their contact methods and away dates, and teams."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.kit.errors import Conflict, FieldError, Invalid
from tocsin.notify import reference_service as removing
from tocsin.oncall import people_service as people
from tocsin.oncall import people_store
from tocsin.oncall.codes import Verdict
from tocsin.oncall.people import ContactMethod, Team, User
from tocsin.storage.tx import ReadTx, Tx
from tocsin.web.people_schemas import (
    TEAM_PATTERN,
    USER_PATTERN,
    AwayIn,
    CodeAskedOut,
    MethodIn,
    MethodOut,
    MethodsOut,
    TeamIn,
    TeamOut,
    TeamPageOut,
    UserDetailOut,
    UserIn,
    UserOut,
    UserPageOut,
    VerifyIn,
)
from tocsin.web.preconditions import IN_USE, Force, IfMatch, agreed, seen_tags
from tocsin.web.schemas import Moment, ProblemOut, QueryIn
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["people"])
UserPath = Annotated[str, Path(pattern=USER_PATTERN, max_length=100)]
TeamPath = Annotated[str, Path(pattern=TEAM_PATTERN, max_length=100)]
Id = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
Responses = dict[int | str, dict[str, Any]]
_MISSING: Final[Responses] = {404: {"model": ProblemOut}}
_STALE: Final[Responses] = {412: {"model": ProblemOut, "description": "If-Match names another version"}}
_THERE: Final[Responses] = {409: {"model": ProblemOut, "description": "It is there, or so already"}}
_WHY: Final = {
    Verdict.WRONG: "is not the code that was sent",
    Verdict.SPENT: "was tried too often; ask for a new one",
    Verdict.EXPIRED: "has expired; ask for a new one",
    Verdict.NONE: "was not asked for; ask for one",
}


def _answer(out: UserOut | TeamOut, status: int = 200, *, path: str | None = None) -> Response:
    headers = {"etag": f'"{out.version}"'}
    if status == 201 and path is not None:
        headers["location"] = path
    return Response(out.model_dump_json(), status, headers, "application/json")


def _user_answer(user: User, status: int = 200) -> Response:
    return _answer(UserOut.model_validate(user), status, path=f"/users/{user.name}")


def _team_answer(team: Team, status: int = 200) -> Response:
    return _answer(TeamOut.model_validate(team), status, path=f"/teams/{team.name}")


def _method_answer(method: ContactMethod, status: int = 200) -> Response:
    headers = {"location": f"/users/{method.user}/methods/{method.id}"} if status == 201 else {}
    return Response(MethodOut.model_validate(method).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, get: Callable[[ReadTx, str], User | Team], name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(get(tx, name).version, seen)


@router.get("/users", summary="List users")
def list_users(query: Annotated[QueryIn, Query()], with_: With) -> UserPageOut:
    """All users by name."""
    found, cursor = people.find(with_.database, cursor=query.cursor, limit=query.limit)
    return UserPageOut(items=[UserOut.model_validate(user) for user in found], next=cursor)


@router.get("/users/{name}", response_model=UserDetailOut, summary="One user", responses=_MISSING)
def get_user(name: UserPath, with_: With) -> Response:
    """A user with contact methods, teams and the schedules that name them."""

    def look(tx: ReadTx) -> UserDetailOut:
        return UserDetailOut(
            **UserOut.model_validate(people.get(tx, name)).model_dump(),
            methods=[MethodOut.model_validate(one) for one in people.methods(tx, name)],
            teams=people_store.teams_of(tx, name),
            schedules=list(people.schedules_naming(tx, name)),
            escalation_policies=list(people.policies_naming(tx, name)),
        )

    return _answer(with_.database.read(look))


@router.put(
    "/users/{name}",
    response_model=UserOut,
    summary="Make or replace a user",
    responses={201: {"model": UserOut, "description": "It is new"}, **_MISSING, **_STALE},
)
def put_user(name: UserPath, user: UserIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all there is to say of a user: what is left out has its default. The same again makes no new version.

    Contact methods are kept apart and stay. With `If-Match` only a user who is there, and at that version, is replaced.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        found, is_new = people.save(tx, name, user.profile(), seen_version=_agreed(tx, people.get, name, seen))
        return _user_answer(found, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/users/{name}", response_model=UserOut, summary="Remove a user", responses={**_MISSING, **IN_USE, **_STALE}
)
def remove_user(name: UserPath, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove a user with all contact methods and out of all teams, and answer with what was said of them.

    Somebody whom a schedule or an escalation policy names is kept, unless by `force`, also while they are on call:
    nobody is called in their place then, and `GET /schedules/{name}/problems` shows where. What is past keeps the name.
    """
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = _agreed(tx, people.get, name, seen)
        return _user_answer(removing.remove_user(tx, name, seen_version=version, force=force))

    return at.write(work)


@router.post("/users/{name}/away", response_model=UserOut, summary="Note that a user is away", responses=_MISSING)
def add_away(name: UserPath, away: AwayIn, at: AtDesk) -> Response:
    """Note that a user is away for a while. They stay on call where a schedule says so, and its problems show it: an
    override or a swap puts another in the place."""
    return at.write(lambda tx: _user_answer(people.add_away(tx, name, away.away())))


@router.delete("/users/{name}/away", response_model=UserOut, summary="Take an away date back", responses=_MISSING)
def end_away(name: UserPath, start: Annotated[Moment, Query(description="When it begins.")], at: AtDesk) -> Response:
    """Take back that a user is away from that instant on."""
    return at.write(lambda tx: _user_answer(people.end_away(tx, name, start)))


@router.get("/users/{name}/methods", summary="List contact methods", responses=_MISSING)
def list_methods(name: UserPath, with_: With) -> MethodsOut:
    """A user's contact methods, in the order they were added; there are at most 20."""
    found = with_.database.read(lambda tx: people.methods(tx, name))
    return MethodsOut(items=[MethodOut.model_validate(one) for one in found], next=None)


@router.post(
    "/users/{name}/methods",
    status_code=201,
    response_model=MethodOut,
    summary="Add a contact method",
    responses={**_MISSING, **_THERE},
)
def add_method(name: UserPath, method: MethodIn, at: AtDesk) -> Response:
    """Add a way to reach a user. It is used once it is verified: ask for a code, and give it back."""
    return at.write(lambda tx: _method_answer(people.add_method(tx, name, method.kind, method.address), 201))


@router.get("/users/{name}/methods/{id}", response_model=MethodOut, summary="One contact method", responses=_MISSING)
def get_method(name: UserPath, id: Id, with_: With) -> Response:  # noqa: A002
    """A contact method as it is."""
    return _method_answer(with_.database.read(lambda tx: people.method(tx, name, id)))


@router.delete(
    "/users/{name}/methods/{id}", response_model=MethodOut, summary="Remove a contact method", responses=_MISSING
)
def remove_method(name: UserPath, id: Id, at: AtDesk) -> Response:  # noqa: A002
    """Remove a contact method, and answer with what it was."""
    return at.write(lambda tx: _method_answer(people.remove_method(tx, name, id)))


@router.post(
    "/users/{name}/methods/{id}/code",
    status_code=202,
    response_model=CodeAskedOut,
    summary="Have a code sent",
    responses={**_MISSING, **_THERE},
)
def ask_code(name: UserPath, id: Id, at: AtDesk) -> Response:  # noqa: A002
    """Have a code sent by a contact method, to verify it. It is good for ten minutes, once, and for five attempts; an
    earlier one is no longer good. A minute must lie between two."""

    def work(tx: Tx) -> Response:
        out = CodeAskedOut(expires_at=people.ask_code(tx, name, id))
        return Response(out.model_dump_json(), 202, media_type="application/json")

    return at.write(work)


@router.post(
    "/users/{name}/methods/{id}/verify", response_model=MethodOut, summary="Verify a contact method", responses=_MISSING
)
def verify_method(name: UserPath, id: Id, given: VerifyIn, at: AtDesk) -> Response:  # noqa: A002
    """Give back the code that came; or `by_hand`, take the contact method for verified."""
    if (given.code is None) == (not given.by_hand):
        raise Invalid("expected the code, or by_hand", errors=(FieldError("/code", "expected the code, or by_hand"),))
    if given.code is None:
        return at.write(lambda tx: _method_answer(people.verify_by_hand(tx, name, id)))
    code = given.code
    # Not as other requests are: a wrong code is refused, and yet it counts.
    verdict = at.services.database.write(lambda tx: people.try_code(tx, name, id, code), actor=at.actor)
    if verdict is not Verdict.RIGHT:
        raise Invalid(f"the code {_WHY[verdict]}", errors=(FieldError("/code", _WHY[verdict]),))
    return get_method(name, id, at.services)


@router.post(
    "/users/{name}/methods/{id}/enable",
    response_model=MethodOut,
    summary="Use a disabled contact method again",
    responses={**_MISSING, **_THERE},
)
def enable_method(name: UserPath, id: Id, at: AtDesk) -> Response:  # noqa: A002
    """Use a contact method again that was disabled because what it is for refused it for good."""

    def work(tx: Tx) -> Response:
        if people.method(tx, name, id).disabled_reason is None:
            raise Conflict(detail="this contact method is not disabled")
        return _method_answer(people.enable_method(tx, name, id))

    return at.write(work)


@router.get("/teams", summary="List teams")
def list_teams(query: Annotated[QueryIn, Query()], with_: With) -> TeamPageOut:
    """All teams by name."""
    found, cursor = people.find_teams(with_.database, cursor=query.cursor, limit=query.limit)
    return TeamPageOut(items=[TeamOut.model_validate(team) for team in found], next=cursor)


@router.get("/teams/{name}", response_model=TeamOut, summary="One team", responses=_MISSING)
def get_team(name: TeamPath, with_: With) -> Response:
    """A team with its members."""
    return _team_answer(with_.database.read(lambda tx: people.get_team(tx, name)))


@router.put(
    "/teams/{name}",
    response_model=TeamOut,
    summary="Make or replace a team",
    responses={201: {"model": TeamOut, "description": "It is new"}, **_MISSING, **_STALE},
)
def put_team(name: TeamPath, team: TeamIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say who is in a team, and in which order. The same again makes no new version."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = _agreed(tx, people.get_team, name, seen)
        found, is_new = people.save_team(tx, name, team.display_name, team.members, seen_version=version)
        return _team_answer(found, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/teams/{name}", response_model=TeamOut, summary="Remove a team", responses={**_MISSING, **IN_USE, **_STALE}
)
def remove_team(name: TeamPath, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove a team, and answer with what it was. Its people stay. One that a route or an escalation policy calls is
    kept, unless by `force`: it has nobody then."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = _agreed(tx, people.get_team, name, seen)
        return _team_answer(removing.remove_team(tx, name, seen_version=version, force=force))

    return at.write(work)
