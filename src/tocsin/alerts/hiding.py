"""Records that silences hide are parted from those that are heard, in the transaction that gives them verdicts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tocsin.alerts import silence_store
from tocsin.alerts.detect import picked
from tocsin.alerts.silencing import Silence, covering_absence, hidden_by, parted
from tocsin.alerts.thresholds import Share
from tocsin.kit.events import Matched
from tocsin.storage.tx import Tx


def covering(tx: Tx, matches: Sequence[Matched]) -> dict[int, Silence]:
    """The silences that cover any of these records. Whoever ends or breaks one waits until this transaction ends, so
    that no alert is hidden by a silence that has let go of its alerts."""
    ids = {silence_id for match in matches for _, ids in match.covered for silence_id in ids}
    return silence_store.share(tx, ids) if ids else {}


def heard(matches: Iterable[Matched], silences: Mapping[int, Silence], now: datetime) -> set[str]:
    """The fingerprints of those that have a record which no silence hides."""
    return {match.fingerprint for match in matches if None in _places(match, silences, now)}


def _places(match: Matched, silences: Mapping[int, Silence], now: datetime) -> Mapping[int | None, Sequence[int]]:
    """The places of its records by the silence that hides them."""
    if not match.covered:
        return {None: range(match.n)}
    return parted((record_id for record_id, _ in match.records), match.covered, silences, now)


def apart(shares: Sequence[Share], silences: Mapping[int, Silence], now: datetime) -> list[Share]:
    """The same records; of those that are to open an alert or be counted on one, each share is hidden by one silence,
    or by none."""
    return [part for share in shares for part in _parts(share, silences, now)]


def _parts(share: Share, silences: Mapping[int, Silence], now: datetime) -> list[Share]:
    match = share.match
    if share.verdict is not None or not match.covered:
        return [share]
    places = _places(match, silences, now)
    return [
        _part(share, places[by], None if by is None else silences[by].name)
        for by in sorted(places, key=lambda by: by or 0)
    ]


def _part(share: Share, places: Sequence[int], by: str | None) -> Share:
    match = picked(share.match, places)
    ids = {record_id for record_id, _ in match.records}
    return replace(share, match=match, late=len(share.late_ids & ids), hidden_by=by, late_ids=share.late_ids & ids)


def hiding_absence(tx: Tx, matches: Sequence[Matched]) -> dict[str, str]:
    """By fingerprint, the silence that hides an alert about there being no records: one that covers its service."""
    silences = silence_store.unexpired(tx) if matches else []
    found: dict[str, str] = {}
    for match in matches:
        ids = covering_absence(silences, match)
        held = silence_store.share(tx, ids) if ids else {}
        by = hidden_by(held, ids, tx.now)
        if by is not None:
            found[match.fingerprint] = held[by].name
    return found
