"""Several things named in one command: what is told of each, and how the command ends."""

import json

import pytest
import typer

from tocsin.cli.each import each
from tocsin.cli.exits import REFUSED, Refused, Unreachable
from tocsin.cli.remote import Answer


def _remove(name: str) -> Answer:
    if name == "lost":
        raise Unreachable(url="http://127.0.0.1:1", reason="it is gone")
    if not name.startswith("known"):
        raise Refused("There is no such rule.")
    return Answer(json.dumps({"name": name}), {"name": name})


def _remove_each(*names: str, as_json: bool = False, kind: str = "rule") -> None:
    each(names, _remove, lambda answer: typer.echo(f"{answer.data['name']} removed"), kind=kind, as_json=as_json)


def test_what_is_refused_is_named_and_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        _remove_each("known-1", "odd\x1b", "known-2")
    assert ended.value.exit_code == REFUSED
    out, err = capsys.readouterr()
    assert out == "known-1 removed\nknown-2 removed\n"
    assert err == "tocsin: rule odd\\x1b: There is no such rule.\n"


def test_as_json_all_that_was_done_is_one_array_and_of_one_thing_its_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit):
        _remove_each("odd", "known-1", as_json=True, kind="")
    out, err = capsys.readouterr()
    assert json.loads(out) == [{"name": "known-1"}]
    assert err == "tocsin: odd: There is no such rule.\n"
    _remove_each("known-1", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"name": "known-1"}


def test_the_only_one_that_is_refused_ends_the_command_with_what_the_server_said() -> None:
    with pytest.raises(Refused, match="no such rule"):
        _remove_each("odd")


def test_a_server_that_no_longer_answers_stops_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unreachable):
        _remove_each("known-1", "lost", "known-2")
    assert capsys.readouterr().out == "known-1 removed\n"
