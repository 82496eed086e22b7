"""Episodes: matches open alerts or are counted on those that are open, also on alerts that are kept from people.

An alert is suppressed by one thing at a time, `suppressed_by`: `silence:3` keeps it from having a ticket; `flap`,
`storm:12` (its ticket) and `inhibition:7` (an alert of a service it depends on) leave it one, and page nobody for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tocsin.alerts import flapping, store
from tocsin.alerts.store import OpenEpisode
from tocsin.alerts.thresholds import Share
from tocsin.kit.errors import Conflict
from tocsin.kit.events import AlertFlapping, AlertOpened, AlertReleased, LogsStored, Matched, Recorded
from tocsin.storage import timers
from tocsin.storage.tx import Tx

TRIES: Final = 5
QUIET: Final = "alert.quiet"
CALM: Final = "alert.calm"
FLAP: Final = "flap"
_WITHOUT_TICKET: Final = "silence:"
STILL_FIRES_WITHIN: Final = timedelta(minutes=10)


@dataclass(slots=True)
class _Episodes:
    """By fingerprint: alerts this transaction opens, those that were open, and how often those that flap changed."""

    opened: dict[str, OpenEpisode] = field(default_factory=dict)
    counted: dict[str, OpenEpisode] = field(default_factory=dict)
    flapping: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, fingerprint: str) -> OpenEpisode:
        return self.opened.get(fingerprint) or self.counted[fingerprint]


def carry_out(tx: Tx, stored: Recorded[LogsStored], shares: Sequence[Share]) -> list[dict[str, Any]]:
    """Open alerts for what has none, count the rest; a verdict for each share.

    An episode that nobody is kept from seeing makes its alert known: it opens so, or is released.
    """
    openers = _openers(shares)
    episodes = _open_or_count(tx, openers)
    _announce(tx, stored, openers, episodes)
    seen = [episodes[s.match.fingerprint] for s in shares if s.verdict is None and s.hidden_by is None]
    release(
        tx, [one.id for one in seen if _has_no_ticket(one)], reason="a record came that nothing hides", cause=stored
    )
    return [_row(stored, share, openers, episodes) for share in shares]


def _row(
    stored: Recorded[LogsStored], share: Share, openers: Mapping[str, Share], episodes: _Episodes
) -> dict[str, Any]:
    match = share.match
    if share.verdict is not None:
        return verdict_row(stored, match, share.verdict, late=share.late)
    episode = episodes[match.fingerprint]
    by = share.hidden_by or (None if _has_no_ticket(episode) else episode.suppressed_by)
    told = "opened" if match.fingerprint in episodes.opened and openers[match.fingerprint] is share else "counted"
    verdict = told if by is None else "suppressed"
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


def _has_no_ticket(episode: OpenEpisode) -> bool:
    return (episode.suppressed_by or "").startswith(_WITHOUT_TICKET)


def _open_or_count(tx: Tx, openers: Mapping[str, Share]) -> _Episodes:
    found = _Episodes(counted=store.hold_open(tx, openers) if openers else {})
    for _ in range(TRIES):
        missing = {fp: share for fp, share in openers.items() if fp not in found.counted and fp not in found.opened}
        if not missing:
            return found
        found.flapping |= _flapping(tx, missing)
        suppressed_by = {
            fp: share.hidden_by or (FLAP if fp in found.flapping else None) for fp, share in missing.items()
        }
        opened = store.open_new(tx, [share.match for share in missing.values()], suppressed_by)
        found.opened |= {fp: OpenEpisode(alert_id, suppressed_by[fp]) for fp, alert_id in opened.items()}
        lost = missing.keys() - opened.keys()
        found.counted |= store.hold_open(tx, lost) if lost else {}
    raise Conflict(detail="alerts were opened and ended faster than they could be counted on")


def _flapping(tx: Tx, fingerprints: Iterable[str]) -> dict[str, int]:
    """Those for which opening now is one change too many, with how many changes that makes."""
    changed = store.changes_since(tx, list(fingerprints), tx.now - flapping.WITHIN)
    return {fp: n + 1 for fp, n in changed.items() if flapping.flaps(n + 1)}


def _announce(tx: Tx, stored: Recorded[LogsStored], openers: Mapping[str, Share], episodes: _Episodes) -> None:
    matches = sorted((openers[fp].match for fp in episodes.opened), key=lambda m: m.first_id)
    new = [_opened(stored, match, episodes.opened[match.fingerprint]) for match in matches]
    tx.emit(*new, causes=[stored.id] * len(new))
    ids = {match.fingerprint: episodes.opened[match.fingerprint].id for match in matches}
    quiet = {
        str(ids[m.fingerprint]): tx.now + flapping.quiet_for(m.quiet_s, flapping=m.fingerprint in episodes.flapping)
        for m in matches
        if m.quiet_s is not None
    }
    timers.put_many(tx, QUIET, quiet, version=0)
    flaps = {ids[fp]: changes for fp, changes in episodes.flapping.items() if fp in ids}
    tell_of_flapping(tx, flaps, cause=stored)


def _opened(stored: Recorded[LogsStored], match: Matched, episode: OpenEpisode) -> AlertOpened:
    return AlertOpened(
        alert_id=episode.id,
        rule=match.rule,
        rule_version=match.rule_version,
        fingerprint=match.fingerprint,
        service=match.service,
        first_record_id=match.first_id,
        late_s=max(0, int((stored.event.observed_at - match.first_at).total_seconds())),
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
