"""The priority that follows from impact and urgency."""

from collections.abc import Mapping
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority, priority_of

STEPS: Final = (1, 2, 3)  # high, medium, low
Matrix = Mapping[tuple[int, int], Priority]
DEFAULT: Final[Matrix] = {
    (1, 1): Priority.P1,
    (1, 2): Priority.P2,
    (2, 1): Priority.P2,
    (1, 3): Priority.P3,
    (2, 2): Priority.P3,
    (3, 1): Priority.P3,
    (2, 3): Priority.P4,
    (3, 2): Priority.P4,
    (3, 3): Priority.P4,
}


def key(impact: int, urgency: int) -> str:
    """How a place in the matrix is written: `1,2`."""
    return f"{impact},{urgency}"


KEYS: Final = {key(impact, urgency): (impact, urgency) for impact in STEPS for urgency in STEPS}


def definition_of(matrix: Matrix) -> dict[str, str]:
    """A matrix as JSON values."""
    return {text: matrix[place].name for text, place in KEYS.items()}


def matrix_of(definition: Mapping[str, Any]) -> dict[tuple[int, int], Priority]:
    """The matrix that JSON values say. Raises Invalid, with all that is wrong."""
    errors = [
        FieldError(f"/priorities/{text[:10]}", "expected impact,urgency, each from 1 to 3")
        for text in sorted(definition.keys() - KEYS.keys())
    ]
    found: dict[tuple[int, int], Priority] = {}
    for text, place in KEYS.items():
        try:
            found[place] = priority_of(str(definition[text]))
        except KeyError:
            errors.append(FieldError(f"/priorities/{text}", "is missing; all nine are needed"))
        except ValueError as error:
            errors.append(FieldError(f"/priorities/{text}", str(error)))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))
    return found


def derived(matrix: Matrix, impact: int | None, urgency: int | None) -> Priority | None:
    """The priority of a ticket; None as long as one of the two is not known."""
    return None if impact is None or urgency is None else matrix[impact, urgency]
