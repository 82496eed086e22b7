"""Back-tests over HTTP: POST /rules/backtest."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request, Response

from tocsin.alerts import rule_service as rules
from tocsin.alerts.rules import Rule, check
from tocsin.kit.errors import NotFound
from tocsin.logs.budget import Budget
from tocsin.proof import backtest
from tocsin.proof.backtest import Wish
from tocsin.proof.silences_then import silences_then
from tocsin.storage.database import Database
from tocsin.web.backtest_schemas import BacktestIn, BacktestOut, backtest_out
from tocsin.web.searching import searched
from tocsin.web.services import Services, services

router = APIRouter(tags=["rules"])
With = Annotated[Services, Depends(services)]


@router.post("/rules/backtest", response_model=BacktestOut, summary="What a rule would have led to")
async def backtest_rule(request: Request, wanted: Annotated[BacktestIn, Body()], with_: With) -> Response:
    """Try a rule on the records that are stored, without saving it: the alerts, tickets and pages there would have
    been, and the difference from what the rule of that name really led to.

    The records are replayed in the order of their arrival through the code that decides live. What people did is not
    known of a rule that was not there: an alert that does not end by itself ends when people really resolved the ticket
    of an alert with its fingerprint, and else goes on. The replay begins with nothing open. Silences that there were
    hide what they hid. `partial` says that `within_s` was over; all up to `reached` is then told. `notes` say what was
    taken for granted. Nothing is changed.
    """
    budget = Budget(wanted.within_s)

    def work() -> BacktestOut:
        wish = wanted.wish(_base(with_.database, wanted.name), with_.clock.now(), with_.storms)
        check(wish.rule)
        wish = _with_silences(with_.database, wish, heeded=wanted.silences)
        return backtest_out(backtest.run(with_.database, with_.logs, wish, budget), wanted.time_zone)

    found = await searched(request, budget, work)
    return Response(found.model_dump_json(), media_type="application/json")


def _with_silences(database: Database, wish: Wish, *, heeded: bool) -> Wish:
    """With the silences there were, if they are to be heeded."""
    if not heeded:
        return replace(wish, silences=None)
    found, left_out = database.read(lambda tx: silences_then(tx, wish.since, wish.until))
    return replace(wish, silences=found, left_out=left_out)


def _base(database: Database, name: str) -> Rule | None:
    """The rule of that name, if there is one."""
    try:
        return database.read(lambda tx: rules.get(tx, name)).rule
    except NotFound:
        return None
