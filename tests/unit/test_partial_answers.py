"""What the command line says of an answer that is not all there is."""

import pytest

from tocsin.cli.logfilter import tell_if_partial


@pytest.mark.parametrize(
    ("partial", "damaged", "told"),
    [
        (False, 0, ""),
        (True, 0, "The search ran out of time after 12,345 records; narrow it by --since or a service.\n"),
        (False, 1, "1 damaged segment could not be searched (see: tocsin logs stats).\n"),
        (False, 1_200, "1,200 damaged segments could not be searched (see: tocsin logs stats).\n"),
    ],
)
def test_what_an_answer_is_without_is_said_beside_it(
    capsys: pytest.CaptureFixture[str], partial: bool, damaged: int, told: str
) -> None:
    tell_if_partial({"partial": partial, "scanned": {"records": 12_345, "damaged": damaged}})
    assert capsys.readouterr() == ("", told)
