"""When a storm is over its ticket lets go of what still fires: each gets a ticket of its own, from then on."""

from typing import Final

from tocsin.alerts import store as alerts
from tocsin.alerts.silencing import STILL_FIRES_WITHIN
from tocsin.alerts.suppression import STORM, by
from tocsin.kit.events import AlertReleased, StormEnded
from tocsin.storage import timers
from tocsin.storage.timers import Timer
from tocsin.storage.tx import Tx
from tocsin.tickets import service, store
from tocsin.tickets.storming import LOOK_EVERY, WITHIN, StormLimits, is_over
from tocsin.tickets.storms import TIMER

_WHY: Final = "the storm is over"


def look(tx: Tx, timer: Timer, limits: StormLimits) -> None:
    """End a storm if it is over, or else look again in a minute. One whose ticket is resolved has ended already."""
    ticket_id = int(timer.subject)
    scope = store.hold_storm(tx, ticket_id)
    if scope is None:
        return
    joined = alerts.opened_since(tx, ticket_id, tx.now - WITHIN)
    firing = alerts.heard_of(tx, ticket_id, tx.now - STILL_FIRES_WITHIN)
    if not is_over(joined, len(firing), limits.of(scope)):
        timers.put(tx, TIMER, timer.subject, due_at=tx.now + LOOK_EVERY, version=1)
        return
    store.end_storm(tx, ticket_id)
    storm = by(STORM, ticket_id)
    alerts.unsuppress_all(tx, storm)
    alerts.unsuppress_gathered(tx, firing)  # whether they still follow from something upstream is decided anew
    store.release_some_keys(tx, ticket_id, alerts.keys_of_alerts(tx, firing))
    tx.emit(StormEnded(ticket_id, scope=scope, released=tuple(firing)))
    tx.emit(*(AlertReleased(alert_id, suppressed_by=storm, reason=_WHY) for alert_id in firing))
    tx.settle()
    service.resolve_if_over(tx, ticket_id)
