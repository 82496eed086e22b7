"""Real lines of eight systems against their published columns: level, timestamp and message of every line."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tocsin.logs.formats.levelwords import level_of_word
from tocsin.logs.formats.text import detect

LOGHUB = Path(__file__).parents[2].parent / "shared" / "data" / "loghub"
NOW = datetime(2026, 11, 24, tzinfo=UTC)

# How the columns of a row say its instant. A file without years is read as of NOW.
INSTANTS = {
    "Android": lambda row: _read(f"2026-{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S.%f"),
    "Apache": lambda row: _read(row["Time"], "%a %b %d %H:%M:%S %Y"),
    "BGL": lambda row: datetime.fromtimestamp(int(row["Timestamp"]), UTC),
    "HDFS": lambda row: _read(f"{row['Date']} {row['Time'].zfill(6)}", "%y%m%d %H%M%S"),
    "Hadoop": lambda row: _read(f"{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S,%f"),
    "OpenSSH": lambda row: _read(f"2025 {row['Date']} {row['Day']} {row['Time']}", "%Y %b %d %H:%M:%S"),
    "OpenStack": lambda row: _read(f"{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S.%f"),
    "Spark": lambda row: _read(f"{row['Date']} {row['Time']}", "%y/%m/%d %H:%M:%S"),
}


def _read(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern).replace(tzinfo=UTC)


@pytest.mark.skipif(not LOGHUB.exists(), reason="the shared loghub files aren't here")
@pytest.mark.parametrize(("sample", "step"), [(slice(0, 200), 1), (slice(1500, 1520), 5)])
@pytest.mark.parametrize("system", INSTANTS)
def test_every_line_has_the_level_instant_and_message_of_its_row(system: str, sample: slice, step: int) -> None:
    folder = LOGHUB / system
    with (folder / f"{system}_2k.log_structured.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = (folder / f"{system}_2k.log").read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    line_format = detect(lines[sample], now=NOW)
    assert line_format.name == ("syslog" if system == "OpenSSH" else "text")
    wrong = []
    for line, row in list(zip(lines, rows, strict=False))[::step]:
        record = line_format.parse(line)
        assert record is not None, line
        level = level_of_word(row["Level"]) if "Level" in row else "INFO"
        drift = abs(datetime.fromisoformat(str(record["timestamp"])) - INSTANTS[system](row))
        same_message = str(record["message"]).strip() == row["Content"].strip()
        if record["level"] != level or drift >= timedelta(microseconds=1) or not same_message:
            wrong.append((line, record))
    assert wrong == []
