"""The catalogue's rows as they are kept in memory: at every moment what the database says, and not without bound."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

from desk import START, Desk, info
from tocsin.kit.actors import SYSTEM
from tocsin.logs import catalogue
from tocsin.logs.catalogue import KeptRows, Segment


def at(minutes: int) -> datetime:
    return START - timedelta(minutes=minutes)


def between(desk: Desk, kept: KeptRows, since: datetime | None = None, until: datetime | None = None) -> list[Segment]:
    found = desk.database.read(lambda tx: kept.between(tx, since=since, until=until))
    return sorted(found, key=lambda segment: segment.key)


def fill(desk: Desk, chance: random.Random) -> None:
    for n in range(chance.randrange(1, 4)):
        minutes = chance.randrange(60)
        services = [f"s{chance.randrange(30)}" for _ in range(chance.randrange(1, 6))]
        desk.post(*[info(f"m{n}", service=name, timestamp=at(minutes).isoformat()) for name in services])
        desk.compact()


def alter(desk: Desk, chance: random.Random) -> None:
    """Damage a segment, mend one, or take one out."""
    segment = chance.choice(between(desk, KeptRows()))
    what = chance.choice(
        [
            lambda tx: catalogue.mark_damaged(tx, segment, "cut"),
            lambda tx: catalogue.mark_sound(tx, segment),
            lambda tx: catalogue.remove(tx, [segment]),
        ]
    )
    desk.database.write(what, actor=SYSTEM)


def test_kept_rows_are_what_the_database_has(desk: Desk) -> None:
    chance = random.Random(11)
    plenty, scarce, none = KeptRows(), KeptRows(most_names=20), KeptRows(most_names=0)
    for _ in range(25):
        fill(desk, chance)
        alter(desk, chance)
        since, until = chance.choice([(None, None), (at(40), None), (None, at(20)), (at(50), at(10))])
        expected = between(desk, KeptRows(), since, until)
        for kept in (plenty, scarce, none, scarce):
            assert between(desk, kept, since, until) == expected
        weight = sum(1 + len(segment.services) + len(segment.layout) for segment in scarce._kept.values())
        assert weight == scarce._names <= 20
    assert {segment.damaged_at for segment in between(desk, plenty)} > {None}


def test_a_row_is_read_once_and_its_damage_every_time(desk: Desk) -> None:
    desk.post(info("one"))
    desk.compact()
    kept = KeptRows()
    [first] = desk.database.read(kept.between)
    [again] = desk.database.read(kept.between)
    assert again is first
    desk.database.write(lambda tx: catalogue.mark_damaged(tx, first, "cut"), actor=SYSTEM)
    [damaged] = desk.database.read(kept.between)
    assert damaged == replace(first, damaged_at=desk.clock.now(), damage="cut")
    assert damaged.services is first.services


def test_what_does_not_fit_does_not_drive_out_what_does(desk: Desk) -> None:
    for n in range(6):
        desk.post(info(f"m{n}", service=f"s{n}"))
        desk.compact()
    kept = KeptRows(most_names=6)  # two of each segment
    desk.database.read(kept.between)
    there = set(kept._kept)
    assert len(there) == 3
    desk.database.read(kept.between)
    assert set(kept._kept) == there
