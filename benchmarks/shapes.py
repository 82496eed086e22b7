"""The records that are sent: our own shape, a foreign logger's, and a storm of CRITICAL ones; the same at every run."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

SERVICES: Final = ("gateway", "checkout", "payments", "catalogue", "accounts", "shipping", "mailer", "search")
REGIONS: Final = ("eu-west-1", "eu-central-1", "us-east-1", "ap-south-1")
LEVELS: Final = (("INFO", 0.90), ("DEBUG", 0.05), ("WARNING", 0.035), ("ERROR", 0.014), ("CRITICAL", 0.001))
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
KINDS: Final = 50
_SUBJECTS: Final = (
    "connection pool", "order queue", "card gateway", "session cache", "search index", "mail relay", "price feed",
    "stock ledger", "audit trail", "token signer",
)  # fmt: skip
_FATES: Final = ("is exhausted", "lost its leader", "refuses writes", "stopped answering", "is corrupt")
ROUTES: Final = ("orders", "carts", "items", "customers", "invoices", "shipments")
VERBS: Final = ("GET", "GET", "GET", "POST", "PUT", "DELETE")

Make = Callable[[random.Random, datetime], bytes]


def _level(rng: random.Random) -> str:
    at = rng.random()
    for name, share in LEVELS:
        at -= share
        if at < 0:
            return name
    return "INFO"


def kind_of_trouble(kind: int) -> tuple[str, str]:
    """One of the 50 kinds: its service, and the words that tell it from the others."""
    return SERVICES[kind % len(SERVICES)], f"{_SUBJECTS[kind % 10]} {_FATES[kind // 10]}"


def _critical(rng: random.Random) -> tuple[str, str]:
    kind = rng.randrange(KINDS)
    service, words = kind_of_trouble(kind)
    return service, f"{words} after {rng.randrange(100, 9999)} ms on node {rng.randrange(64)}, attempt {kind}"


def _plain(rng: random.Random) -> tuple[str, str]:
    verb, route = rng.choice(VERBS), rng.choice(ROUTES)
    message = f"{verb} /api/v1/{route}/{rng.randrange(10**6)} answered 200 in {rng.randrange(2, 900)} ms"
    message += f" ({rng.randrange(10**5)} bytes)"
    return rng.choice(SERVICES), message


def _what(rng: random.Random, level: str) -> tuple[str, str]:
    return _critical(rng) if level == "CRITICAL" else _plain(rng)


def plain_record(rng: random.Random) -> tuple[str, str, str]:
    """Level, service and message of a record, for other forms than JSON."""
    level = _level(rng)
    return level, *_what(rng, level)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def own(rng: random.Random, at: datetime, *, level: str | None = None) -> bytes:
    """A record in our own shape, 260 bytes on average."""
    level = level or _level(rng)
    service, message = _what(rng, level)
    attributes = {
        "request_id": f"{rng.getrandbits(128):032x}",
        "duration_ms": round(rng.expovariate(0.02), 2),
        "region": rng.choice(REGIONS),
    }
    record = {
        "timestamp": _stamp(at), "level": level, "service": service, "message": message, "attributes": attributes,
    }  # fmt: skip
    return json.dumps(record, separators=(",", ":")).encode()


def foreign(rng: random.Random, at: datetime) -> bytes:
    """What another JSON logger writes: fields of other names, and more of them at the top."""
    level = _level(rng)
    service, message = _what(rng, level)
    record = {
        "@timestamp": _stamp(at),
        "severity": level.lower(),
        "logger": service,
        "msg": message,
        "thread": f"worker-{rng.randrange(32)}",
        "host": f"{service[:3]}-{rng.randrange(16)}",
        "request_id": f"{rng.getrandbits(128):032x}",
        "duration_ms": round(rng.expovariate(0.02), 2),
        "region": rng.choice(REGIONS),
    }
    return json.dumps(record, separators=(",", ":")).encode()


def critical(rng: random.Random, at: datetime) -> bytes:
    """A CRITICAL record of one of the 50 kinds, in our own shape."""
    return own(rng, at, level="CRITICAL")


def storm(rng: random.Random, at: datetime) -> bytes:
    """A CRITICAL record of one of the 50 kinds, all of one service, in our own shape."""
    record = json.loads(critical(rng, at))
    return json.dumps({**record, "service": SERVICES[0]}, separators=(",", ":")).encode()


SHAPES: Final[dict[str, Make]] = {"own": own, "foreign": foreign, "critical": critical, "storm": storm}


def records(shape: str, count: int, *, seed: int = 1) -> Iterator[bytes]:
    """`count` records, a millisecond apart, ending about now."""
    rng, make = random.Random(seed), SHAPES[shape]
    at, step = datetime.now(UTC) - timedelta(milliseconds=count), timedelta(milliseconds=1)
    for _ in range(count):
        at += step
        yield make(rng, at)


def http_requests(shape: str, *, per_request: int, distinct: int, path: str, seed: int = 1) -> list[bytes]:
    """Whole HTTP requests with `per_request` records each: JSON lines, or one JSON object for 1."""
    lines = list(records(shape, per_request * distinct, seed=seed))
    media = "application/json" if per_request == 1 else "application/x-ndjson"
    made = []
    for start in range(0, len(lines), per_request):
        body = b"\n".join(lines[start : start + per_request])
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media}\r\nContent-Length: {len(body)}\r\n"
        made.append(head.encode() + b"\r\n" + body)
    return made
