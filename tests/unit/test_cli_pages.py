"""Pages that commands print, from what the API answers."""

from tocsin.cli.alerts import _status
from tocsin.cli.ticket_page import _alerts, told


def test_a_ticket_says_how_many_alerts_it_has_and_where_the_rest_is() -> None:
    assert _alerts({"id": 12, "alert_count": 0, "alerts": []}) is None
    assert _alerts({"id": 12, "alert_count": 2, "alerts": [{}, {}]}) == "2"
    assert _alerts({"id": 12, "alert_count": 250, "alerts": [{}] * 100}) == (
        "250, the newest 100 below; all: tocsin alerts list --ticket 12"
    )


def test_a_list_of_alerts_says_what_keeps_one_from_people() -> None:
    assert _status({"status": "suppressed", "suppressed_by": "storm:12"}).plain == "suppressed (storm:12)"
    assert _status({"status": "resolved", "suppressed_by": "storm:12"}).plain == "resolved"


def test_a_storm_is_told_in_words() -> None:
    began = {"scope": "service:web", "tickets": 30, "limit": 20, "within_s": 300, "opened_before": []}
    within = "30 tickets of web would have opened within 5 min"
    assert told("StormBegan", began) == f"a storm began: {within}, the limit is 20"
    ended = {0: ", nothing of it fires", 1: "; alert 1 still fires and has a ticket of its own"}
    ended |= {2: "; alerts 1, 2 still fire and have tickets of their own"}
    ended |= {30: "; 30 alerts still fire and have tickets of their own"}
    for n, words in ended.items():
        data = {"scope": "all", "released": list(range(1, n + 1))}
        assert told("StormEnded", data) == f"the storm is over{words}"
