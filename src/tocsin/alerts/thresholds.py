"""Rules that count: the windows of a commit's groups are locked, weighed and written; what fires goes on as an alert.

A rule has at most `MAX_GROUPS` windows. When there are more groups, those that were idle for two windows are forgotten;
if that is not enough, new groups are counted together in one that is named so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tocsin.alerts import store, window_store
from tocsin.alerts.detect import merge, picked
from tocsin.alerts.overflow import MAX_GROUPS, overflowing
from tocsin.alerts.rules import QUIET_WINDOWS
from tocsin.alerts.window_store import Held, Key
from tocsin.alerts.windows import MILLION, Enough, Weighed, Window, go_on, weigh, width_us_of
from tocsin.kit.clock import to_us
from tocsin.kit.events import Matched
from tocsin.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Share:
    """Records of a match that share their fate. `verdict` is None for those that open an alert or are counted on it:
    which of both, the open alerts say. In a dry run there are none, so the window says it. `hidden_by` names the
    silence that keeps them from people; `late_ids` are the records that were late for their window. `gathered`: they
    are of groups of which there are too many, and that is their verdict."""

    match: Matched
    verdict: str | None
    late: int
    hidden_by: str | None = None
    gathered: bool = False
    late_ids: frozenset[int] = frozenset()


def weigh_all(
    tx: Tx, matches: Sequence[Matched], *, observed_at: datetime, max_groups: int = MAX_GROUPS
) -> list[Share]:
    """What becomes of these records, by their windows, which nobody else can change until the transaction ends."""
    if not matches:
        return []
    held = window_store.hold(tx, {_key(match) for match in matches})
    matches = _within_bounds(tx, matches, held.keys(), max_groups=max_groups)
    held |= window_store.make(tx, {_key(m): _width_us(m) for m in matches if _key(m) not in held})
    firing = store.hold_open(tx, {match.fingerprint for match in matches if not match.dry_run})
    shares: list[Share] = []
    after: dict[Key, Held] = {}
    for match in matches:
        before = _of_width(held[_key(match)], _width_us(match))
        fires = _rehearses(match, before, tx.now) if match.dry_run else match.fingerprint in firing
        weighed = _weighed(match, before.window, observed_us=to_us(observed_at), firing=fires)
        after[_key(match)] = Held(weighed.window, tx.now if weighed.full else before.full_at)
        late_ids = [match.records[place][0] for place in weighed.late]
        if weighed.pending:
            late = frozenset(late_ids[: weighed.late_pending])
            shares.append(Share(part(match, 0, weighed.pending), "pending", weighed.late_pending, late_ids=late))
        if weighed.pending < match.n:
            verdict = ("counted" if fires else "opened") if match.dry_run else None
            late = frozenset(late_ids[weighed.late_pending :])
            shares.append(Share(part(match, weighed.pending, match.n), verdict, weighed.late_counted, late_ids=late))
    window_store.save(tx, after)
    return shares


def _width_us(match: Matched) -> int:
    """The length of its buckets; a run has none to speak of."""
    return width_us_of(match.window_s) if match.window_s else 1


def _weighed(match: Matched, window: Window, *, observed_us: int, firing: bool) -> Weighed:
    for_us = match.for_s * MILLION
    if not match.window_s:
        times = [at_us for _, at_us in match.records]
        return go_on(window, times, for_us=for_us, observed_us=observed_us, firing=firing)
    enough = Enough(match.threshold, match.ratio_ppm, match.minimum)
    return weigh(window, _in_order(match), enough, observed_us=observed_us, firing=firing, for_us=for_us)


def _in_order(match: Matched) -> list[tuple[int, bool]]:
    """The times of all records by arrival, and which of them the rule is about."""
    if not match.others:
        return [(at_us, True) for _, at_us in match.records]
    both = [(record_id, at_us, True) for record_id, at_us in match.records]
    both += [(record_id, at_us, False) for record_id, at_us in match.others]
    return [(at_us, is_hit) for _, at_us, is_hit in sorted(both)]


def _of_width(held: Held, width_us: int) -> Held:
    """A window; one that was counted in other buckets begins anew."""
    return held if held.window.width_us == width_us else Held(Window(width_us), None)


def _key(match: Matched) -> Key:
    return match.rule, match.fingerprint


def _rehearses(match: Matched, held: Held, now: datetime) -> bool:
    """Whether an alert would be open now, if the rule opened any."""
    quiet = match.quiet_s is not None and held.full_at is not None
    over = quiet and held.full_at + timedelta(seconds=match.quiet_s or 0) <= now  # type: ignore[operator]
    return held.window.fired and not over


def part(match: Matched, start: int, stop: int) -> Matched:
    """The records from one place to another, as a match."""
    return picked(match, range(start, stop))


def _within_bounds(tx: Tx, matches: Sequence[Matched], known: Collection[Key], *, max_groups: int) -> Sequence[Matched]:
    new: dict[str, list[Matched]] = {}
    for match in matches:
        if _key(match) not in known:
            new.setdefault(match.rule, []).append(match)
    moved: dict[Key, Matched] = {}
    for rule, groups in new.items():
        held = {fingerprint for of_rule, fingerprint in known if of_rule == rule}
        room = _room(tx, groups[0], held, wanted=len(groups), max_groups=max_groups)
        moved.update({_key(match): overflowing(match) for match in groups[room:] if match.rule == rule})
    return merge([moved.get(_key(match), match) for match in matches]) if moved else matches


def _room(tx: Tx, match: Matched, held: Collection[str], *, wanted: int, max_groups: int) -> int:
    """How many more groups of a rule may have a window."""
    used = window_store.count(tx, match.rule)
    if used + wanted > max_groups:
        idle = timedelta(seconds=max(QUIET_WINDOWS * match.window_s, match.for_s, match.quiet_s or 0))
        window_store.forget_idle(tx, match.rule, tx.now - idle, held=held)
        used = window_store.count(tx, match.rule)
    return max(max_groups - used, 0)
