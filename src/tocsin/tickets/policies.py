"""Which SLA policy a ticket has: the most specific one that is about it. Two that can't be told apart are refused.

The order: a policy that names services goes before all that don't; then one that names teams; then the one with more
labels; then one that names priorities; last, one that names nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.query.letters import fold

LONGEST_S: Final = 366 * 86_400
DEFAULT_AT_RISK_SHARE: Final = 0.75
MAX_NAMED: Final = 200


@dataclass(frozen=True, slots=True)
class Policy:
    """Within how many seconds of working time a ticket is to be acknowledged and resolved.

    Without `calendar` all time is working time. A clock is at risk once `at_risk_share` of its target has passed, or
    when `at_risk_left_s` are left of it. `require_resolution`: whoever resolves says of what kind that is, and how.
    """

    name: str
    version: int
    acknowledge_s: int | None = None
    resolve_s: int | None = None
    priorities: tuple[Priority, ...] = ()
    services: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    calendar: str | None = None
    at_risk_share: float | None = DEFAULT_AT_RISK_SHARE
    at_risk_left_s: int | None = None
    description: str = ""
    require_resolution: bool = False

    def definition(self) -> dict[str, Any]:
        """What it says, as JSON values."""
        values = {name: getattr(self, name) for name in DEFINED}
        values["priorities"] = [priority.name for priority in self.priorities]
        values |= {name: list(values[name]) for name in ("services", "teams")}
        values["labels"] = dict(self.labels)
        return values


DEFINED: Final = tuple(f.name for f in fields(Policy) if f.name not in {"name", "version"})


def policy_of(name: str, version: int, definition: Mapping[str, Any]) -> Policy:
    """The policy that `definition()` of it says."""
    values = {field: definition[field] for field in DEFINED if field in definition}
    values["priorities"] = tuple(Priority[text] for text in values["priorities"])
    values |= {field: tuple(values[field]) for field in ("services", "teams")}
    values["labels"] = tuple(sorted(values["labels"].items()))
    return Policy(name=name, version=version, **values)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a policy looks at in a ticket: `team` is that of its declared service, `labels` those of its rule."""

    priority: Priority
    service: str | None = None
    team: str | None = None
    labels: Mapping[str, str] | None = None


def check(policy: Policy) -> None:
    """Raises Invalid, with all that is wrong."""
    errors: list[FieldError] = []
    targets = {name: getattr(policy, name) for name in ("acknowledge_s", "resolve_s")}
    given = {name: target for name, target in targets.items() if target is not None}
    if not given:
        errors.append(FieldError("/resolve_s", "a policy needs a target: acknowledge_s, resolve_s or both"))
    for name, target in given.items():
        if not 1 <= target <= LONGEST_S:
            errors.append(FieldError(f"/{name}", f"expected 1 to {LONGEST_S} seconds (366 days)"))
    errors += _at_risk_errors(policy, given)
    for name in ("services", "teams", "labels"):
        if len(getattr(policy, name)) > MAX_NAMED:
            errors.append(FieldError(f"/{name}", f"expected at most {MAX_NAMED}"))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))


def _at_risk_errors(policy: Policy, targets: Mapping[str, int]) -> list[FieldError]:
    share, left_s = policy.at_risk_share, policy.at_risk_left_s
    if (share is None) == (left_s is None):
        return [FieldError("/at_risk_share", "expected at_risk_share or at_risk_left_s, one of the two")]
    if share is not None and not 0 < share < 1:
        return [FieldError("/at_risk_share", "expected a share of the target between 0 and 1, such as 0.75")]
    if left_s is not None and not 1 <= left_s < min(targets.values(), default=LONGEST_S):
        return [FieldError("/at_risk_left_s", "expected 1 second or more, and less than each target")]
    return []


def specificity(policy: Policy) -> tuple[bool, bool, int, bool]:
    """The greater, the more specific."""
    return bool(policy.services), bool(policy.teams), len(policy.labels), bool(policy.priorities)


def choose(policies: Iterable[Policy], traits: Traits) -> Policy | None:
    """The policy of a ticket; None when none is about it."""
    return max((one for one in policies if is_about(one, traits)), key=specificity, default=None)


def is_about(policy: Policy, traits: Traits) -> bool:
    """Whether a policy is about a ticket."""
    labels = traits.labels or {}
    return (
        (not policy.priorities or traits.priority in policy.priorities)
        and (not policy.services or _among(traits.service, policy.services))
        and (not policy.teams or _among(traits.team, policy.teams))
        and all(labels.get(name) == value for name, value in policy.labels)
    )


def _among(name: str | None, names: Iterable[str]) -> bool:
    return name is not None and fold(name) in map(fold, names)


def tie(one: Policy, other: Policy) -> str | None:
    """A kind of ticket for which neither is the more specific; None when there is none.

    That a service might not belong to a team is not looked at: it may tomorrow.
    """
    if specificity(one) != specificity(other):
        return None
    mine, theirs = dict(one.labels), dict(other.labels)
    if any(theirs.get(name, value) != value for name, value in mine.items()):
        return None
    shared: list[str] = []
    for names, others, words in (
        ([p.name for p in one.priorities], [p.name for p in other.priorities], "{}"),
        (one.services, other.services, "of service {}"),
        (one.teams, other.teams, "of team {}"),
    ):
        both = sorted(name for name in names if fold(name) in set(map(fold, others)))
        if names and not both:
            return None
        shared += [words.format(both[0])] if both else []
    shared += [f"labelled {name}={value}" for name, value in sorted((mine | theirs).items())]
    priority = shared.pop(0) + " " if one.priorities else ""
    return " ".join([f"a {priority}ticket" if priority else "any ticket", *shared])
