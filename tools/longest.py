"""The five longest functions and files of a source tree: no limit, but growth is seen."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SHOWN = 5
Measured = tuple[int, str]


def functions(path: Path) -> Iterator[Measured]:
    """Each function of a file: its lines, from the first decorator to the end, and where it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield node.end_lineno - start + 1, f"{path}:{start} {node.name}"


def main(roots: list[str]) -> None:
    """Print both lists for all Python files below `roots`."""
    paths = sorted(path for root in roots for path in Path(root).rglob("*.py"))
    files = [(len(path.read_text().splitlines()), str(path)) for path in paths]
    for title, found in (("functions", [f for path in paths for f in functions(path)]), ("files", files)):
        print(f"Longest {title}:")
        for lines, name in sorted(found, reverse=True)[:SHOWN]:
            print(f"  {lines:4}  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
