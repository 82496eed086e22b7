"""Pages that commands print, from what the API answers."""

from tocsin.cli.alerts import _status
from tocsin.cli.ticket_page import _alerts


def test_a_ticket_says_how_many_alerts_it_has_and_where_the_rest_is() -> None:
    assert _alerts({"id": 12, "alert_count": 0, "alerts": []}) is None
    assert _alerts({"id": 12, "alert_count": 2, "alerts": [{}, {}]}) == "2"
    assert _alerts({"id": 12, "alert_count": 250, "alerts": [{}] * 100}) == (
        "250, the newest 100 below; all: tocsin alerts list --ticket 12"
    )


def test_a_list_of_alerts_says_what_keeps_one_from_people() -> None:
    assert _status({"status": "suppressed", "suppressed_by": "storm:12"}).plain == "suppressed (storm:12)"
    assert _status({"status": "resolved", "suppressed_by": "storm:12"}).plain == "resolved"
