"""Detection with 1,000 enabled rules against one: CPU of the same batches, beside the bare decoding of them."""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import figures
import shapes
from figures import Figure
from tocsin.alerts.detect import detect
from tocsin.alerts.rules import SEED_RULE, Rule, check
from tocsin.alerts.ruleset import RuleSet
from tocsin.logs.chunks import pack
from tocsin.logs.decode import decode
from tocsin.logs.record import Columns

BUDGET: Final = 2.0
PER_REQUEST: Final = 1000
_NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
_SUBJECTS: Final = ("disk", "lease", "replica", "certificate", "queue", "checkout", "session", "index", "shard")
_TROUBLES: Final = ("stalled", "expired", "corrupt", "unreachable", "overflowed", "rejected", "diverged", "leaked")


def mixed_rules(count: int, services: Sequence[str]) -> list[Rule]:
    """So many rules as a company may have, most about one service, of those that send records and of others."""
    chance = random.Random(7)
    every = [*services, *(f"service-{number}" for number in range(80))]
    conditions: list[Callable[[str, str, int], str]] = [
        lambda service, words, n: f"service:{service} level:>=ERROR {words}",
        lambda service, words, n: f"service:{service} level:CRITICAL",
        lambda service, words, n: f'service:{service} "{words} {n}"',
        lambda service, words, n: f"level:>=WARNING {words} {n}",
        lambda service, words, n: f'"{words} {n}"',
        lambda service, words, n: f"service:{service} @shard:>{n} level:>=ERROR",
        lambda service, words, n: f"service:{service} message:/{words} after \\d{{4,}} ms/ level:>=ERROR",
        lambda service, words, n: f"(error-{n} OR failure-{n}) -service:{service}",
    ]
    rules = [SEED_RULE]
    for number in range(count - 1):
        words = f"{chance.choice(_SUBJECTS)} {chance.choice(_TROUBLES)}"
        condition = conditions[number % len(conditions)](chance.choice(every), words, number)
        rules.append(Rule(name=f"rule-{number}", version=1, condition=condition))
    for rule in rules:
        check(rule)
    return rules


def bodies(requests: int) -> list[bytes]:
    lines = list(shapes.records("own", PER_REQUEST * requests))
    return [b"\n".join(lines[n * PER_REQUEST : (n + 1) * PER_REQUEST]) for n in range(requests)]


def _cpu_s(work: Callable[[], object], rounds: int) -> float:
    """The least CPU of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        before = time.process_time()
        work()
        best = min(best, time.process_time() - before)
    return best


def measure(*, records: int = 50_000, rules: int = 1000, rounds: int = 5) -> list[Figure]:
    """Decode, match and pack the same requests with one rule and with many."""
    requests = bodies(max(records // PER_REQUEST, 1))
    count = len(requests) * PER_REQUEST

    def decoded() -> list[Columns]:
        return [decode(body, lines=True, arrived=_NOW).columns for body in requests]

    batches = decoded()
    one = RuleSet(1, [SEED_RULE])
    many = RuleSet(1, mixed_rules(rules, sorted({service for batch in batches for service in batch.services})))

    def whole(ruleset: RuleSet) -> None:
        for batch in decoded():
            detect(batch, ruleset, first_id=1, backfill=False)
            pack(batch)

    def alone(ruleset: RuleSet) -> None:
        for batch in batches:
            detect(batch, ruleset, first_id=1, backfill=False)

    bare = _cpu_s(decoded, rounds) / count * 1e6
    detection = [_cpu_s(partial(alone, s), rounds) / count * 1e6 for s in (one, many)]
    with_one, with_many = (_cpu_s(partial(whole, s), rounds) / count * 1e6 for s in (one, many))
    ratio = with_many / with_one
    found = [sum(len(detect(b, s, first_id=1, backfill=False).matches) for b in batches) for s in (one, many)]
    return [
        Figure("bare decoding, CPU per million records", f"{bare:.2f} s"),
        Figure("detection alone, 1 rule", f"{detection[0]:.2f} s", f"{found[0]} matches"),
        Figure(f"detection alone, {rules:,} rules", f"{detection[1]:.2f} s", f"{found[1]} matches"),
        Figure("decode, match and pack, 1 rule", f"{with_one:.2f} s"),
        Figure(f"decode, match and pack, {rules:,} rules", f"{with_many:.2f} s"),
        Figure("... the ratio", f"{ratio:.2f}", f"budget <= {BUDGET}", ratio <= BUDGET),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--rules", type=int, default=1000)
    arguments = parser.parse_args()
    figures.show(measure(records=arguments.records, rules=arguments.rules))


if __name__ == "__main__":
    main()
