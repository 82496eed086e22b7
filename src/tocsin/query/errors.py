"""What is wrong with a query, and where."""

from tocsin.kit.errors import FieldError, Invalid


class QueryError(Invalid):
    """The request isn't valid: {detail}"""

    def __init__(self, detail: str, *, column: int | None = None) -> None:
        self.column = column
        text = f"q: {detail}" if column is None else f"q, column {column}: {detail}"
        super().__init__(text, errors=(FieldError("q", text),))
