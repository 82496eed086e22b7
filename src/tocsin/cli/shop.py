"""A small shop's logs as a function of the story's time: seven services, healthy noise, one root cause, a storm."""

import random
from dataclasses import dataclass
from typing import Any, Final

NOISE_PER_S: Final = 40
SERVICES: Final = ("web", "catalog", "cart", "checkout", "payments", "orders", "orders-db")


@dataclass(frozen=True, slots=True)
class Act:
    """A stretch of the story: from `start` (share of its length) on, these lines come, so many a second."""

    start: float
    stop: float
    per_s: float
    service: str
    level: str
    text: str


# One root cause: the disk of the orders database fills up. Everything else follows from it.
OUTAGE: Final = (
    Act(0.20, 0.35, 0.8, "orders-db", "WARNING", "disk /var/lib/postgresql is {percent} % full"),
    Act(0.35, 0.70, 3, "orders-db", "CRITICAL", "could not write to file pg_wal/{wal}: No space left on device"),
    Act(0.38, 0.70, 25, "orders", "ERROR", "insert into orders failed after {ms} ms: database is read-only"),
    Act(0.40, 0.70, 6, "orders", "CRITICAL", "order {order} could not be stored, {n} orders waiting in memory"),
    Act(0.42, 0.70, 30, "checkout", "ERROR", "POST http://orders:8080/orders answered 503 in {ms} ms"),
    Act(0.45, 0.68, 4, "checkout", "CRITICAL", "circuit to orders is open, checkout of cart {cart} refused"),
    Act(0.47, 0.68, 20, "web", "ERROR", "GET /checkout/{cart} 502 upstream checkout"),
    Act(0.50, 0.66, 8, "payments", "WARNING", "payment {payment} authorised but its order is unknown, will retry"),
    Act(0.72, 0.75, 2, "orders-db", "INFO", "disk /var/lib/postgresql is 41 % full, accepting writes"),
    Act(0.86, 0.90, 2, "orders-db", "CRITICAL", "could not write to file pg_wal/{wal}: No space left on device"),
)

_HEALTHY: Final = (
    ("web", "INFO", "GET /product/{n} 200 in {ms} ms"),
    ("web", "INFO", "GET / 200 in {ms} ms"),
    ("catalog", "INFO", "search found {n} products in {ms} ms"),
    ("catalog", "DEBUG", "cache hit for product {n}"),
    ("cart", "INFO", "cart {cart} has {n} items"),
    ("checkout", "INFO", "cart {cart} checked out"),
    ("payments", "INFO", "payment {payment} captured in {ms} ms"),
    ("payments", "WARNING", "card issuer answered slowly: {slow} ms"),
    ("orders", "INFO", "order {order} stored in {ms} ms"),
    ("orders-db", "INFO", "checkpoint complete: wrote {n} buffers in {slow} ms"),
)


def records(rng: random.Random, *, since: float, until: float, step_s: float) -> list[dict[str, Any]]:
    """The records of one step of the story, from `since` to `until`: shares of its length, 0 to 1."""
    lines = [_record(rng, *rng.choice(_HEALTHY)) for _ in range(_amount(rng, NOISE_PER_S * step_s))]
    for act in OUTAGE:
        if act.start < until and since < act.stop:
            count = max(1, _amount(rng, act.per_s * step_s))
            lines += [_record(rng, act.service, act.level, act.text) for _ in range(count)]
    rng.shuffle(lines)
    return lines


def _amount(rng: random.Random, expected: float) -> int:
    whole = int(expected)
    return whole + (rng.random() < expected - whole)


def _record(rng: random.Random, service: str, level: str, text: str) -> dict[str, Any]:
    message = text.format(
        ms=rng.randint(3, 180),
        slow=rng.randint(900, 4000),
        n=rng.randint(2, 900),
        percent=rng.randint(90, 97),
        cart=f"c-{rng.getrandbits(24):06x}",
        order=rng.randint(100_000, 999_999),
        payment=f"pay_{rng.getrandbits(40):010x}",
        wal=f"{rng.getrandbits(96):024X}",
    )
    attributes = {"region": rng.choice(["eu-west-1", "eu-central-1"]), "request_id": f"{rng.getrandbits(128):032x}"}
    return {"level": level, "service": service, "message": message, "attributes": attributes}
