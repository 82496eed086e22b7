"""`level:CRITICAL` on a labelled log: how many of its alerts are real ones, and how many tickets come of them."""

import argparse
import csv
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Table, func, select

import figures
from figures import Figure
from servers import temp_folder
from tocsin import pipeline
from tocsin.alerts import rule_service
from tocsin.alerts.detect import detect
from tocsin.alerts.grouping import template_of
from tocsin.alerts.model import verdicts
from tocsin.alerts.rule_service import RuleBook
from tocsin.alerts.rules import Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import iso
from tocsin.kit.metrics import Metrics
from tocsin.logs.decode import Batch, decode
from tocsin.logs.intake import Intake, Outcome, Stored, Submission
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import LogReader
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.objects import Folder
from tocsin.tickets.model import tickets

BESIDE: Final = Path(__file__).parents[2] / "shared" / "data" / "loghub"
NEEDED: Final = {"Label", "Timestamp", "Level", "Content"}
NOT_AN_ALERT: Final = "-"
WINDOWS_S: Final = {"10 min": 600, "1 h": 3600, "24 h": 86_400}
# Which messages are one thing. The first two are what a rule may say; the last is what people say.
GROUPS: Final = {
    "masking alone": ("service", "@masked"),
    "mining": ("service", "template"),
    "people's labels": ("service", "@event"),
}
RULE: Final = Rule(name="critical-logs", version=0, condition="level:CRITICAL")


@dataclass(frozen=True)
class Line:
    """A line of the log, and whether people marked it as a real alert."""

    at: datetime
    record: dict[str, Any]
    is_alert: bool


def read_lines(folder: Path) -> list[Line]:
    """The lines of the first `*_structured.csv` that says which lines are alerts, in the order of the file."""
    for file in sorted([*folder.glob("*_structured.csv"), *folder.glob("*/*_structured.csv")]):
        with file.open(newline="", encoding="utf-8", errors="replace") as opened:
            rows = csv.DictReader(opened)
            if set(rows.fieldnames or ()) >= NEEDED:
                return [_line(row) for row in rows]
    return []


def _line(row: dict[str, str]) -> Line:
    at = datetime.fromtimestamp(int(row["Timestamp"]), UTC)
    record = {
        "timestamp": iso(at),
        "level": row["Level"],
        "service": row.get("Component") or "unknown",
        "message": row["Content"],
        "masked": template_of(row["Content"]),
        "event": row.get("EventId", ""),
    }
    return Line(at, record, row["Label"] != NOT_AN_ALERT)


class _Clock:
    """Shows the time of the log."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def now(self) -> datetime:
        return self.at


class Replay:
    """A Tocsin without its web server that lives through the log: real intake, real database, its clock the log's."""

    def __init__(self, folder: Path, start: datetime, rule: Rule) -> None:
        self.clock = _Clock(start)
        self.metrics = Metrics()
        self.database: Database = open_database(None, folder, clock=self.clock, routes=pipeline.ROUTES)
        schema.ensure(self.database, migrate=True)
        self.database.write(lambda tx: rule_service.save(tx, rule), actor=SYSTEM)
        self.book = RuleBook(self.database)
        self.intake = Intake(self.database, self.book, metrics=self.metrics)
        files = SegmentFiles(self.database, Folder(folder / "segments"), metrics=self.metrics)
        self.reader = LogReader(self.database, files, self.clock)

    def live_until(self, at: datetime) -> None:
        self.clock.at = max(self.clock.at, at)
        pipeline.run_due_timers(self.database, self.metrics, self.book, self.reader, intake=self.intake)

    def post(self, lines: Sequence[Line]) -> None:
        """Send lines as one request and wait for its answer."""
        batch = decoded(lines, self.clock.now())
        done: Future[Outcome] = Future()
        submission = Submission(
            columns=batch.columns,
            rejected=batch.rejected,
            backfill=False,
            size_bytes=1000 * len(lines),
            actor=SYSTEM,
            resolve=done.set_result,
        )
        self.intake.submit(submission)
        outcome = done.result(60)
        if not isinstance(outcome, Stored):
            raise RuntimeError(f"refused: {outcome}")

    def count(self, table: Table) -> int:
        return self.database.read(lambda tx: int(tx.execute(select(func.count()).select_from(table)).scalar_one()))

    def records(self) -> int:
        """How many records were counted on alerts."""
        total = select(func.coalesce(func.sum(verdicts.c.n), 0)).where(verdicts.c.alert_id.is_not(None))
        return self.database.read(lambda tx: int(tx.execute(total).scalar_one()))

    def close(self) -> None:
        self.intake.close()
        self.database.close()


def decoded(lines: Sequence[Line], arrived: datetime) -> Batch:
    return decode(b"\n".join(msgspec.json.encode(line.record) for line in lines), lines=True, arrived=arrived)


def by_minute(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines of a minute are sent together."""
    for _, part in groupby(lines, key=lambda line: line.at.replace(second=0)):
        yield list(part)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f} ({part} of {whole})" if whole else "none"


def measure_rule(lines: Sequence[Line]) -> tuple[list[Figure], int]:
    """Precision and recall of the rule by lines; and how many lines it matches."""
    ruleset = RuleSet(1, [RULE])
    hits = [
        bool(detect(decoded([line], line.at).columns, ruleset, first_id=1, backfill=False).matches) for line in lines
    ]
    matched, real = sum(hits), sum(line.is_alert for line in lines)
    right = sum(hit and line.is_alert for hit, line in zip(hits, lines, strict=True))
    beside = f"{len(lines):,} lines, {real} of them labelled"
    return [
        Figure(f"{RULE.condition}: precision", _share(right, matched), beside),
        Figure(f"{RULE.condition}: recall", _share(right, real)),
    ], matched


def measure_tickets(lines: Sequence[Line], matched: int, *, window: str, groups: str) -> Figure:
    """How many tickets the log makes when its things are told apart by `groups` and end after `window` of silence."""
    rule = replace(RULE, group_by=GROUPS[groups], reopen_window_s=0, auto_resolve_after_s=WINDOWS_S[window])
    with temp_folder() as folder:
        log = Replay(folder, lines[0].at, rule)
        try:
            for part in by_minute(lines):
                log.live_until(part[-1].at)
                log.post(part)
            made, counted = log.count(tickets), log.records()
        finally:
            log.close()
    if counted != matched:
        raise RuntimeError(f"{matched} lines match, {counted} were counted")
    return Figure(
        f"tickets, {window} of silence, {groups}",
        f"{1000 * made / matched:.0f} per 1,000 alert lines",
        f"{made} tickets of {matched} lines",
    )


def measure(folder: Path | None = None, *, windows: Sequence[str] = tuple(WINDOWS_S)) -> list[Figure]:
    """On the logs of `TOCSIN_GROUPING_DATA`, or of where they stand beside the repository."""
    where = folder or Path(os.environ.get("TOCSIN_GROUPING_DATA", BESIDE))
    lines = sorted(read_lines(where), key=lambda line: line.at)
    if not lines:
        return [Figure("detection", "skipped", f"no *_structured.csv with a column Label in {where}")]
    found, matched = measure_rule(lines)
    for window in windows:
        found += [measure_tickets(lines, matched, window=window, groups=groups) for groups in GROUPS]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
DIR holds a file *_structured.csv, or folders that do, with the columns Label (`-` for a line that is no alert),
Timestamp (seconds since 1970), Level, Content, and maybe Component (the service) and EventId. The first one is taken;
without any, this says so and ends.

Precision: of the lines that the rule matches, the share that people labelled as alerts. Recall: of those labelled, the
share that it matches. Tickets: the log lived through with the real intake and the real database, its clock the log's,
the lines of a minute a request. A thing that was silent for the window is over and its ticket is resolved (the rule's
auto_resolve_after_s; nothing is reopened), so the next line of it opens another ticket. Beside it, the same with the
messages told apart by masking alone, and by the labels of people (EventId), which is what can be reached.""",
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    found = measure(parser.parse_args().folder)
    if found[0].measured == "skipped":
        print(f"Skipped: {found[0].beside} (see --help).", file=sys.stderr)
        return
    figures.show(found)


if __name__ == "__main__":
    main()
