"""The template miner on labelled logs: how many lines are grouped as their labels say, and how many lines a second."""

import argparse
import csv
import hashlib
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import figures
from figures import Figure
from tocsin.alerts.forms import Forms, form_of, gathers
from tocsin.alerts.grouping import template_of
from tocsin.alerts.mining import Miner

CACHED_BUDGET: Final = 300_000
NEW_BUDGET: Final = 30_000
WANTED: Final = 0.97  # of the mean
BESIDE: Final = Path(__file__).parents[2] / "shared" / "data" / "loghub"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_WORD: Final = re.compile(r"[^\W\d_]+")
_NUMBER: Final = re.compile("[0-9]+")
_HOLE: Final = "<*>"


@dataclass(frozen=True)
class Log:
    """The lines of a system with the label of each."""

    system: str
    lines: list[str]
    labels: list[str]
    templates: dict[str, str]


def read_logs(folder: Path) -> list[Log]:
    """One for every folder that holds a `*_structured.csv` with the columns Content and EventId."""
    logs: list[Log] = []
    for file in sorted(folder.glob("*/*_structured.csv")):
        with file.open(newline="", encoding="utf-8", errors="replace") as opened:
            rows = list(csv.DictReader(opened))
        templates = {row["EventId"]: row.get("EventTemplate", "") for row in rows}
        logs.append(
            Log(file.parent.name, [row["Content"] for row in rows], [row["EventId"] for row in rows], templates)
        )
    return logs


def accuracy(labels: Sequence[str], groups: Sequence[int]) -> float:
    """The share of lines whose group holds exactly the lines of their label."""
    per_label, per_group = Counter(labels), Counter(groups)
    both = Counter(zip(labels, groups, strict=True))
    return sum(n for (label, group), n in both.items() if per_label[label] == n == per_group[group]) / len(labels)


def groups_at_end(lines: Iterable[str]) -> list[int]:
    """The lines streamed once through an empty miner; the group of each after all merges."""
    miner = Miner()
    at_arrival = [miner.group_of(line) for line in lines]
    return [miner.find(group) for group in at_arrival]


def alerts_at_end(lines: Iterable[str]) -> list[int]:
    """The same as alerts are grouped: the lines are masked first, the miner sees the first line of each form, and forms
    that it finds alike are one group once they are as many as values are."""
    forms = Forms()
    numbers: list[int] = []
    for line in lines:
        form = form_of(template_of(line), line)
        number = forms.learn(form).number if forms.teaches(form) else forms.number_of(form)
        numbers.append(number or 0)
    alike = {number: forms.alike(number) for number in set(numbers)}
    return [of[0] if gathers({0: len(of)}) else number for number in numbers for of in [alike[number]]]


def masked_only(lines: Iterable[str]) -> list[int]:
    """The same with masking alone."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(template_of(line), len(numbers)) for line in lines]


def shuffled(log: Log, seed: int) -> Log:
    order = list(range(len(log.lines)))
    random.Random(seed).shuffle(order)
    return replace(log, lines=[log.lines[i] for i in order], labels=[log.labels[i] for i in order])


def pseudo_word(text: str) -> str:
    """Always the same eight letters for the same text, which say nothing."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_LETTERS[byte % 26] for byte in digest[:8])


def anonymised(log: Log) -> Log:
    """All words replaced: no rule that knows a word can help."""
    return replace(log, lines=[_WORD.sub(lambda word: pseudo_word(word[0]), line) for line in log.lines])


def wordified(log: Log, share: float, seed: int) -> Log:
    """Of the variable places of every label, so many hold words without a digit instead, as many different ones."""
    chance = random.Random(seed)
    places: dict[str, tuple[re.Pattern[str], list[bool]]] = {}
    for label, template in sorted(log.templates.items()):
        parts = template.split(_HOLE)
        pattern = "(.*?)".join(r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in parts)
        places[label] = re.compile(rf"\s*{pattern}\s*"), [chance.random() < share for _ in parts[1:]]
    lines = [_wordified(line, *places[label]) for line, label in zip(log.lines, log.labels, strict=True)]
    return replace(log, lines=lines)


def _wordified(line: str, pattern: re.Pattern[str], chosen: Sequence[bool]) -> str:
    found = pattern.fullmatch(line)
    if found is None:
        return line
    for number in range(len(chosen), 0, -1):
        if chosen[number - 1] and found[number]:
            start, stop = found.span(number)
            line = line[:start] + pseudo_word(found[number]) + line[stop:]
    return line


def with_other_numbers(lines: Sequence[str], times: int, *, seed: int, stretched: bool) -> list[str]:
    """The lines so many times over, every digit drawn anew; stretched: numbers get longer or shorter by a digit too."""
    chance = random.Random(seed)
    digits = "".join(chance.choices("0123456789", k=1 << 16))

    def drawn(number: re.Match[str]) -> str:
        length = number.end() - number.start()
        if stretched:
            length = max(1, length + chance.randrange(-1, 2))
        start = chance.randrange(1 << 15)
        return digits[start : start + length]

    return [_NUMBER.sub(drawn, line) for _ in range(times) for line in lines]


def with_new_words(lines: int) -> list[str]:
    """Every line has two words that no line before had: no cache helps."""
    forms = (
        "session of {} opened from {} after {} ms",
        "request {} of tenant {} took {} ms and was queued",
        "cannot move file {} to folder {}: quota of {} bytes is used up",
        "replica {} of shard {} lags by {} records, waiting",
    )
    return [forms[n % len(forms)].format(pseudo_word(f"a{n}"), pseudo_word(f"b{n}"), n) for n in range(lines)]


def _rate(work: Callable[[str], object], lines: Sequence[str]) -> float:
    began = time.perf_counter()
    for line in lines:
        work(line)
    return len(lines) / (time.perf_counter() - began)


def measure_speed(logs: Sequence[Log], *, times: int = 20) -> list[Figure]:
    """Lines a second for kinds that were met before and for new ones, beside one bare substitution of every line."""
    found: list[Figure] = []
    for log in logs:
        found.append(_met_before(log, times, stretched=False))
        found.append(_met_before(log, times, stretched=True))
    lines = with_new_words(60_000)
    limit = max(_rate(_bare, lines) for _ in range(3))
    rate = max(_rate(Miner().group_of, lines) for _ in range(3))
    found.append(_figure("two new words in every line", rate, limit, NEW_BUDGET))
    return found


def _bare(line: str) -> str:
    return _NUMBER.sub("0", line)


def _met_before(log: Log, times: int, *, stretched: bool) -> Figure:
    streams = [with_other_numbers(log.lines, times, seed=seed, stretched=stretched) for seed in range(4)]
    miner = Miner()
    _rate(miner.group_of, streams[0])
    limit = max(_rate(_bare, stream) for stream in streams[1:])
    rate = max(_rate(miner.group_of, stream) for stream in streams[1:])
    what = "numbers of other lengths" if stretched else "other digits"
    return _figure(f"{log.system}, met before, {what}", rate, limit, None if stretched else CACHED_BUDGET)


def _figure(what: str, rate: float, limit: float, budget: int | None) -> Figure:
    beside = f"one bare substitution {limit:,.0f}"
    if budget is None:
        return Figure(what, f"{rate:,.0f} lines/s", beside)
    return Figure(what, f"{rate:,.0f} lines/s", f"{beside}, budget >= {budget:,}", rate >= budget)


def accuracies(
    logs: Sequence[Log], grouped: Callable[[Iterable[str]], list[int]] = groups_at_end
) -> list[tuple[str, str]]:
    each = [(log.system, accuracy(log.labels, grouped(log.lines))) for log in logs]
    each.append(("mean", sum(value for _, value in each) / len(each)))
    return [(system, f"{value:.4f}") for system, value in each]


def measure(*, times: int = 20) -> list[Figure]:
    """Accuracy and speed on the logs of `TOCSIN_GROUPING_DATA`, or of where they stand beside the repository."""
    folder = Path(os.environ.get("TOCSIN_GROUPING_DATA", BESIDE))
    logs = read_logs(folder)
    if not logs:
        return [Figure("grouping", "skipped", "no labelled logs: name their folder in TOCSIN_GROUPING_DATA")]
    found = [Figure(f"grouping accuracy, {system}", value, f"wanted >= {WANTED}") for system, value in accuracies(logs)]
    mean = found.pop()
    found.append(Figure(mean.what, mean.measured, mean.beside, float(mean.measured) >= WANTED))
    return found + measure_speed(logs, times=times)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
DIR holds a folder per system, and each of these a file *_structured.csv with a column Content (the message) and a
column EventId (its label); EventTemplate is needed for --wordified. The public collection loghub has this form.

Grouping accuracy: a line counts when the lines that got its group are exactly the lines with its label, so one line
too many or too few makes the whole label wrong. Each system is streamed once, in order, through an empty miner; the
group of a line is the one it belongs to at the end, after the merges that the miner made by itself.

  grouping.py DIR                    accuracy and speed
  grouping.py DIR --alerts           as alerts are grouped: masked, then mined; beside it masking alone
  grouping.py DIR --shuffled 7       the lines in another order
  grouping.py DIR --anonymised       without a single known word, to see what rests on vocabulary
  grouping.py DIR --wordified 0.3    numbers that became words, to see what rests on digits

The options combine. Speed is measured on the lines as they are: the stream 20 times over with other digits (the limit
of what a look-up costs), the same with numbers that are a digit longer or shorter (most need a mask first), and lines
that each bring two new words. The limit beside a speed is one re.sub over the same lines in the same run. Nothing is
written.""",
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--shuffled", type=int, metavar="SEED", help="stream the lines in an order drawn from SEED")
    parser.add_argument("--anonymised", action="store_true", help="replace all words by letters that say nothing")
    parser.add_argument("--wordified", type=float, metavar="P", help="make a share P of the variable places words")
    parser.add_argument("--alerts", action="store_true", help="as alerts are grouped, beside masking alone")
    parser.add_argument("--seed", type=int, default=1, help="which places --wordified picks (default 1)")
    parser.add_argument("--no-speed", action="store_true", help="accuracy only")
    return parser.parse_args()


def main() -> None:
    given = _parsed()
    logs = read_logs(given.folder)
    if not logs:
        print(f"Skipped: {given.folder} holds no */*_structured.csv with labelled lines (see --help).", file=sys.stderr)
        return
    tested = logs
    if given.wordified is not None:
        tested = [wordified(log, given.wordified, given.seed) for log in tested]
    if given.anonymised:
        tested = [anonymised(log) for log in tested]
    if given.shuffled is not None:
        tested = [shuffled(log, given.shuffled) for log in tested]
    if given.alerts:
        both = zip(accuracies(tested, alerts_at_end), accuracies(tested, masked_only), strict=True)
        print(figures.table(("system", "alerts", "masking alone"), [(*one, other[1]) for one, other in both]))
        return
    print(figures.table(("system", "accuracy"), accuracies(tested)), flush=True)
    if not given.no_speed:
        print()
        figures.show(measure_speed(logs))


if __name__ == "__main__":
    main()
