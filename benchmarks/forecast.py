"""How good forecasts are: trained on the first 60 % of real incidents by opening time, tried on the rest.

What was not resolved when the training ends is censored there. Each ticket of the rest is asked about when a quarter,
half and three quarters of its target have passed, if it is still open then. The base rate it is compared with is that
of the training's tickets that were open as long as well, the best that a single number can say.
"""

import argparse
import gzip
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from tocsin.tickets.forecast import Curve, brier, calibration, curve, forecast
from tocsin.tickets.forecast_service import KINDS, kind
from tocsin.tickets.importing import Foreign
from tocsin.tickets.sources.formats import FORMATS
from tocsin.tickets.sources.rows import Mapped

FILE: Final = "servicenow_incident_events.csv.gz"
TRAIN: Final = 0.6
SHARES: Final = (0.25, 0.5, 0.75)
HOUR: Final = 3600.0
FIXED: Final = {1: 4 * HOUR, 2: 8 * HOUR, 3: 72 * HOUR, 4: 120 * HOUR, 5: 240 * HOUR}
MIN_TICKETS: Final = 100


def traits(ticket: Foreign) -> dict[str, Any]:
    """As they were at the opening: what came later was not known."""
    first = ticket.opened_as
    return {"priority": int(first["priority"]), "service": ticket.service, "team": first["team"]}


def took(ticket: Foreign) -> float:
    assert ticket.resolved_at is not None
    return (ticket.resolved_at - ticket.opened_at).total_seconds()


class Known:
    """Curves of every kind of ticket that was opened before an instant, as they were known then."""

    def __init__(self, past: list[Foreign], until: datetime) -> None:
        groups: dict[tuple[tuple[str, Any], ...], tuple[list[float], list[bool]]] = defaultdict(lambda: ([], []))
        for one in past:
            over = one.resolved_at is not None and one.resolved_at <= until
            seconds = took(one) if over else (until - one.opened_at).total_seconds()
            for names in KINDS:
                durations, resolved = groups[tuple((name, traits(one)[name]) for name in names)]
                durations.append(seconds)
                resolved.append(over)
        self._curves: Mapping[Any, Curve] = {key: curve(*found) for key, found in groups.items()}

    def breach(self, ticket: Foreign, *, open_s: float, due_s: float) -> float | None:
        mine = traits(ticket)
        keys = [tuple((name, mine[name]) for name in names) for names in KINDS]
        groups = [(kind(dict(key)), self._curves[key]) for key in keys if key in self._curves]
        found = forecast(groups, open_s=open_s, due_s=due_s)
        return None if found is None else found.breach


def base_rate(past: list[Foreign], until: datetime, share: float, target: Callable[[Foreign], float]) -> float:
    """The share of the past tickets that missed their target, of those that were open at a share of it and of which
    that was known."""
    came = []
    for one in past:
        at_most = (until - one.opened_at).total_seconds()
        seen = min(took(one), at_most)
        if seen > share * target(one) and (took(one) <= at_most or seen > target(one)):
            came.append(seen > target(one))
    return float(np.mean(came))


def evaluate(
    known: Known, past: list[Foreign], until: datetime, rest: list[Foreign], target: Callable[[Foreign], float]
) -> None:
    for share in SHARES:
        base = base_rate(past, until, share, target)
        asked = [one for one in rest if took(one) > share * target(one)]
        pairs = [
            (said, took(one) > target(one))
            for one in asked
            if (said := known.breach(one, open_s=share * target(one), due_s=target(one))) is not None
        ]
        said, came = [one for one, _ in pairs], [one for _, one in pairs]
        ours, theirs = brier(said, came), brier([base] * len(came), came)
        errors = [(a - b) ** 2 - (base - b) ** 2 for a, b in pairs]
        spread = 1.96 * float(np.std(errors)) / math.sqrt(len(errors))
        if len(pairs) < MIN_TICKETS or abs(ours - theirs) <= spread:
            verdict = "can't tell"
        else:
            verdict = "better" if ours < theirs else "WORSE"
        print(
            f"  {share:>4.0%} elapsed: {len(pairs):>5,} of {len(asked):,} open; Brier {ours:.4f}, base rate"
            f" {base:.3f} scores {theirs:.4f}, difference {ours - theirs:+.4f} +- {spread:.4f}: {verdict}"
        )
        for mean, rate, count in calibration(said, came):
            print(f"         said {mean:5.1%}   came {rate:5.1%}   of {count:>5,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help=f"holds {FILE}")
    given = parser.parse_args()
    if not (given.folder / FILE).exists():
        raise SystemExit(f"{given.folder / FILE} is not there: nothing to evaluate on")
    read = FORMATS["servicenow"](gzip.decompress((given.folder / FILE).read_bytes()), Mapped())
    tickets = sorted((one for one in read.tickets if one.resolved_at), key=lambda one: one.opened_at)
    cut = int(len(tickets) * TRAIN)
    until = tickets[cut].opened_at
    past, rest = tickets[:cut], tickets[cut:]
    known = Known(past, until)
    ended = [one for one in past if one.resolved_at is not None and one.resolved_at <= until]
    still = len(past) - len(ended)
    print(f"{len(past):,} to learn from (until {until:%Y-%m-%d}, {still} of them open), {len(rest):,} to try")
    middle = {
        priority: float(np.median([took(one) for one in ended if traits(one)["priority"] == priority]))
        for priority in {traits(one)["priority"] for one in ended}
    }
    for name, targets in (("4 h, 8 h, 3 d, 5 d for P1 to P4", FIXED), ("the median of each priority", middle)):
        print(f"Target: {name}")
        evaluate(known, past, until, rest, lambda one, targets=targets: targets[traits(one)["priority"]])


if __name__ == "__main__":
    main()
