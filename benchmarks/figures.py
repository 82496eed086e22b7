"""What a benchmark found, beside what it is measured against, as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value with its budget or the limit from the same run; `met` None means there is no budget."""

    what: str
    measured: str
    beside: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        verdict = "" if self.met is None else "met" if self.met else "MISSED"
        return self.what, self.measured, self.beside, verdict


HEAD = ("what", "measured", "beside it", "budget")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned text; the first column to the left, the others to the right."""
    whole = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in whole)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def show(found: Sequence[Figure]) -> None:
    print(table(HEAD, [figure.cells for figure in found]), flush=True)
