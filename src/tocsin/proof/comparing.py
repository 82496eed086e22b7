"""What a rule really led to, held against what a replay says: which alerts stay, which are gone, which are new."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tocsin.kit.clock import to_us
from tocsin.proof.outcome import Episode


@dataclass(frozen=True, slots=True)
class RealAlert:
    """An alert as it is in the database."""

    id: int
    fingerprint: str
    ticket_id: int | None
    service: str
    title: str
    opened_at: datetime
    ended_at: datetime | None
    first_record_id: int


@dataclass(frozen=True, slots=True)
class Real:
    """What a rule of that name led to: its alerts that went on in the span, the oldest first, with the tickets they
    opened and reopened within it (ticket, alert); and when tickets with alerts of these fingerprints were resolved by
    people (microseconds since 1970). `flapping` are the alerts that called nobody for that, as they opened too often.
    `more`: there are more alerts than these."""

    alerts: Sequence[RealAlert] = ()
    opened: Sequence[tuple[int, int]] = ()
    reopened: Sequence[tuple[int, int]] = ()
    resolved: Sequence[tuple[int, str]] = ()
    flapping: frozenset[int] = frozenset()
    more: bool = False

    @property
    def pages(self) -> int:
        """How often somebody was called."""
        return sum(alert not in self.flapping for _, alert in (*self.opened, *self.reopened))


@dataclass(frozen=True, slots=True)
class Difference:
    """Real alerts that the replay has as well, those it has not, and those that only it has."""

    kept: Sequence[RealAlert]
    gone: Sequence[RealAlert]
    new: Sequence[Episode]

    @property
    def gone_tickets(self) -> set[int]:
        """Tickets none of whose alerts is left."""
        left = {alert.ticket_id for alert in self.kept}
        return {alert.ticket_id for alert in self.gone if alert.ticket_id is not None} - left


def compare(real: Sequence[RealAlert], episodes: Sequence[Episode], fingerprint_of: Mapping[int, str]) -> Difference:
    """An alert is the same when both went on at some moment and are of one group: of the same fingerprint, or the first
    record of the real one is of that group now. `fingerprint_of` says that of records, where it is known."""
    by_fingerprint: dict[str, list[Episode]] = {}
    for episode in episodes:
        by_fingerprint.setdefault(episode.face.fingerprint, []).append(episode)
    kept: list[RealAlert] = []
    gone: list[RealAlert] = []
    met: set[int] = set()
    for alert in real:
        names = {alert.fingerprint, fingerprint_of.get(alert.first_record_id, alert.fingerprint)}
        same = [e for name in names for e in by_fingerprint.get(name, ()) if _at_once(alert, e)]
        met.update(map(id, same))
        (kept if same else gone).append(alert)
    return Difference(kept, gone, [episode for episode in episodes if id(episode) not in met])


def _at_once(alert: RealAlert, episode: Episode) -> bool:
    begun = alert.ended_at is None or episode.opened_at <= to_us(alert.ended_at)
    return begun and (episode.ended_at is None or episode.ended_at >= to_us(alert.opened_at))
