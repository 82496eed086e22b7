"""Searches for requests: in a thread, with a budget, and given up when whoever asked has left."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from tocsin.logs.budget import Budget

T = TypeVar("T")
_LOOK_EVERY_S: Final = 0.1


async def searched(request: Request, budget: Budget, work: Callable[[], T]) -> T:
    """What `work` finds; `budget` is cancelled when the client leaves before that."""
    task = asyncio.ensure_future(run_in_threadpool(work))
    try:
        while not (await asyncio.wait({task}, timeout=_LOOK_EVERY_S))[0]:
            if await request.is_disconnected():
                budget.cancel()
    except asyncio.CancelledError:
        budget.cancel()
        raise
    return task.result()
