"""Names of time zones."""

from tocsin.kit.zones import is_zone


def test_zones_are_known_by_their_names() -> None:
    assert [is_zone(name) for name in ("Europe/Lisbon", "UTC", "Europe", "../etc/passwd", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
