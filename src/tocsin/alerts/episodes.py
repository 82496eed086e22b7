"""Episodes: matches open alerts or are counted on those that are open, also on alerts that are kept from people."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.alerts import flapping, placing, store
from tocsin.alerts.overflow import MAX_GROUPS, gathered, rules_of, seated
from tocsin.alerts.quieting import QUIET
from tocsin.alerts.store import OpenEpisode
from tocsin.alerts.suppression import FLAP, has_no_ticket
from tocsin.alerts.thresholds import Share
from tocsin.kit.errors import Conflict
from tocsin.kit.events import AlertFlapping, AlertOpened, AlertReleased, LogsStored, Matched, Recorded
from tocsin.storage import timers
from tocsin.storage.tx import Tx

TRIES: Final = 5
CALM: Final = "alert.calm"


@dataclass(frozen=True, slots=True)
class _Opened:
    """An alert that this transaction opens, the match that it is about, and how often one that flaps has changed."""

    episode: OpenEpisode
    match: Matched
    changes: int | None


@dataclass(slots=True)
class _Episodes:
    """By the fingerprints that records have by themselves: what this transaction opens, and what was open."""

    opened: dict[str, _Opened] = field(default_factory=dict)
    counted: dict[str, OpenEpisode] = field(default_factory=dict)

    def __getitem__(self, fingerprint: str) -> OpenEpisode:
        opened = self.opened.get(fingerprint)
        return self.counted[fingerprint] if opened is None else opened.episode


def carry_out(
    tx: Tx, stored: Recorded[LogsStored], shares: Sequence[Share], *, max_groups: int = MAX_GROUPS
) -> list[dict[str, Any]]:
    """Open alerts for what has none, count the rest; a verdict for each share.

    An episode that nobody is kept from seeing makes its alert known: it opens so, or is released.
    """
    live = {share.match.fingerprint for share in shares if share.verdict is None}
    held = store.hold_open(tx, live) if live else {}
    shares = _within_bounds(tx, shares, held, max_groups)
    openers = _openers(shares)
    episodes = _open_or_count(tx, openers, held)
    _announce(tx, stored, list(episodes.opened.values()))
    seen = [episodes[s.match.fingerprint] for s in shares if s.verdict is None and s.hidden_by is None]
    kept = [one.id for one in seen if has_no_ticket(one.suppressed_by)]
    release(tx, kept, reason="a record came that nothing hides", cause=stored)
    return [_row(stored, share, openers, episodes) for share in shares]


def open_without_records(tx: Tx, matches: Sequence[Matched], hidden_by: Mapping[str, str]) -> None:
    """Open alerts about there being no records; by fingerprint, which of them are hidden by what."""
    openers = _openers([Share(match, None, 0, hidden_by.get(match.fingerprint)) for match in matches])
    held = store.hold_open(tx, openers) if openers else {}
    _announce(tx, None, list(_open_or_count(tx, openers, held).opened.values()))


def _within_bounds(tx: Tx, shares: Sequence[Share], held: Collection[str], max_groups: int) -> Sequence[Share]:
    """Gather what would have more alerts of a rule open than are kept apart. Only new alerts are a reason to look."""
    wanted = [share.match for share in shares if share.verdict is None and not share.match.window_s]
    new = [match for match in wanted if match.fingerprint not in held]
    room_of = {rule: max_groups - store.count_open(tx, rule) for rule in rules_of(new)}
    beyond = _without_room(new, room_of, {})
    if beyond:  # they may have less to ask for: the forms of a pattern take one place, or have it already
        placed = placing.look_up(tx, new)
        heard = {share.match.fingerprint for share in shares if share.hidden_by is None}
        counted = placing.open_of(tx, placed, heard)
        new = [match for match in new if match.fingerprint not in counted]
        beyond = _without_room(new, room_of, {own: one.fingerprints[0] for own, one in placed.items()})
    if not beyond:
        return shares
    kept = [share for share in shares if share.match.fingerprint not in beyond]
    others = [share for share in shares if share.match.fingerprint in beyond]
    for hidden_by in sorted({share.hidden_by or "" for share in others}):
        together = gathered([share.match for share in others if (share.hidden_by or "") == hidden_by])
        kept += [Share(match, None, 0, hidden_by=hidden_by or None, gathered=True) for match in together]
    return kept


def _without_room(new: Sequence[Matched], room_of: Mapping[str, int], opens: Mapping[str, str]) -> set[str]:
    """Of new groups those for which their rule has no room; by fingerprint, what opens an alert in its place."""
    in_order = sorted(new, key=lambda match: (match.first_id, match.fingerprint))
    places = [(match.rule, opens.get(match.fingerprint, match.fingerprint)) for match in in_order]
    seats = seated(places, room_of)
    return {match.fingerprint for match, (_, place) in zip(in_order, places, strict=True) if place not in seats}


def _row(
    stored: Recorded[LogsStored], share: Share, openers: Mapping[str, Share], episodes: _Episodes
) -> dict[str, Any]:
    match = share.match
    if share.verdict is not None:
        return verdict_row(stored, match, share.verdict, late=share.late)
    episode = episodes[match.fingerprint]
    by = share.hidden_by or (None if has_no_ticket(episode.suppressed_by) else episode.suppressed_by)
    told = "opened" if match.fingerprint in episodes.opened and openers[match.fingerprint] is share else "counted"
    verdict = "suppressed" if by is not None else "overflow" if share.gathered else told
    return verdict_row(stored, match, verdict, episode.id, late=share.late, suppressed_by=by)


def _openers(shares: Iterable[Share]) -> dict[str, Share]:
    """The share of each fingerprint that opens its alert if there is none: the first that nothing hides, or else the
    first."""
    found: dict[str, Share] = {}
    for share in shares:
        if share.verdict is None:
            first = found.setdefault(share.match.fingerprint, share)
            if first.hidden_by is not None and share.hidden_by is None:
                found[share.match.fingerprint] = share
    return found


def _open_or_count(tx: Tx, openers: Mapping[str, Share], held: Mapping[str, OpenEpisode]) -> _Episodes:
    """`held` are those that are known to be open. What has no open alert by itself may have one by its pattern."""
    found = _Episodes(counted=dict(held))
    for turn in range(TRIES):
        asked = openers.keys() - found.counted.keys() - found.opened.keys()
        if asked and turn:
            found.counted |= store.hold_open(tx, asked)
        missing = {fp: share for fp, share in openers.items() if fp not in found.counted and fp not in found.opened}
        if not missing:
            return found
        _place(tx, missing, found)
    raise Conflict(detail="alerts were opened and ended faster than they could be counted on")


def _place(tx: Tx, missing: Mapping[str, Share], found: _Episodes) -> None:
    """Count on the open alerts of their patterns, and open alerts for those that have none."""
    heard = {fingerprint for fingerprint, share in missing.items() if share.hidden_by is None}
    placement = placing.place(tx, [share.match for share in missing.values()], heard)
    found.counted |= placement.counted
    if not placement.matches:
        return
    changes = _flapping(tx, [match.fingerprint for match in placement.matches])
    suppressed_by: dict[str, str | None] = {}
    for fingerprint, own in placement.opening.items():
        hidden = [missing[one].hidden_by for one in own]
        suppressed_by[fingerprint] = FLAP if fingerprint in changes else None
        if None not in hidden:
            suppressed_by[fingerprint] = hidden[0]
    new = store.open_new(tx, placement.matches, suppressed_by)
    for match in placement.matches:
        if match.fingerprint in new:
            first, *others = placement.opening[match.fingerprint]
            episode = OpenEpisode(new[match.fingerprint], suppressed_by[match.fingerprint])
            found.opened[first] = _Opened(episode, match, changes.get(match.fingerprint))
            found.counted |= dict.fromkeys(others, episode)


def _flapping(tx: Tx, fingerprints: Iterable[str]) -> dict[str, int]:
    """Those for which opening now is one change too many, with how many changes that makes."""
    changed = store.changes_since(tx, list(fingerprints), tx.now - flapping.WITHIN)
    return {fp: n + 1 for fp, n in changed.items() if flapping.flaps(n + 1)}


def _announce(tx: Tx, stored: Recorded[LogsStored] | None, opened: Iterable[_Opened]) -> None:
    in_order = sorted(opened, key=lambda one: one.match.first_id)
    new = [_opened(stored, one.match, one.episode) for one in in_order]
    tx.emit(*new, causes=[None if stored is None else stored.id] * len(new))
    quiet = {
        str(one.episode.id): tx.now + flapping.quiet_for(one.match.quiet_s, flapping=one.changes is not None)
        for one in in_order
        if one.match.quiet_s is not None
    }
    timers.put_many(tx, QUIET, quiet, version=0)
    tell_of_flapping(tx, {one.episode.id: one.changes for one in in_order if one.changes is not None}, cause=stored)


def _opened(stored: Recorded[LogsStored] | None, match: Matched, episode: OpenEpisode) -> AlertOpened:
    return AlertOpened(
        alert_id=episode.id,
        rule=match.rule,
        rule_version=match.rule_version,
        fingerprint=match.fingerprint,
        service=match.service,
        first_record_id=match.first_id or None,
        late_s=0 if stored is None else max(0, int((stored.event.observed_at - match.first_at).total_seconds())),
        suppressed_by=episode.suppressed_by,
        match=match,
    )


def tell_of_flapping(tx: Tx, changes_of: Mapping[int, int], *, cause: Recorded[Any] | None = None) -> None:
    """Say of alerts that they flap, and look again after 30 minutes."""
    told = [AlertFlapping(alert_id, changes, within_s=flapping.WITHIN_S) for alert_id, changes in changes_of.items()]
    tx.emit(*told, causes=None if cause is None else [cause.id] * len(told))
    timers.put_many(tx, CALM, dict.fromkeys(map(str, changes_of), tx.now + flapping.CALM), version=0)


def release(tx: Tx, alert_ids: Iterable[int], *, reason: str, cause: Recorded[Any] | None = None) -> list[int]:
    """Suppress alerts no longer; those that had no ticket of their own are to get one. Returns those that were open and
    suppressed."""
    wanted = sorted(set(alert_ids))
    if not wanted:
        return []
    released = store.unsuppress(tx, wanted)
    told = [AlertReleased(alert_id, suppressed_by=by, reason=reason) for alert_id, by in sorted(released.items())]
    tx.emit(*told, causes=None if cause is None else [cause.id] * len(told))
    return sorted(released)


def verdict_row(
    stored: Recorded[LogsStored],
    match: Matched,
    verdict: str,
    alert_id: int | None = None,
    *,
    late: int = 0,
    would: str | None = None,
    suppressed_by: str | None = None,
) -> dict[str, Any]:
    """A row of `verdicts`."""
    return {
        "event_id": stored.id,
        "rule": match.rule,
        "rule_version": match.rule_version,
        "fingerprint": match.fingerprint,
        "verdict": verdict,
        "alert_id": alert_id,
        "n": match.n,
        "first_id": match.first_id,
        "last_id": match.last_id,
        "first_at": match.first_at,
        "last_at": match.last_at,
        "late": late,
        "would": would,
        "suppressed_by": suppressed_by,
    }
