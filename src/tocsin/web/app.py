"""The web application: routes, problem documents, OpenAPI, behind the guard."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI

from tocsin import __version__
from tocsin.web import (
    act_routes,
    alerts_routes,
    answer_routes,
    apply_routes,
    backtest_routes,
    bulk_routes,
    changes_routes,
    channel_routes,
    collaboration_routes,
    declaration_routes,
    delivery_routes,
    docs_page,
    drill_routes,
    explain_routes,
    export_routes,
    forecast_routes,
    health,
    heartbeats_routes,
    import_routes,
    logs_routes,
    paging_routes,
    patterns_routes,
    people_routes,
    postmortem_routes,
    problems,
    report_routes,
    rules_routes,
    schedule_routes,
    silences_routes,
    similar_routes,
    sla_routes,
    slack_routes,
    template_routes,
    tickets_routes,
    views_routes,
)
from tocsin.web.description import describe
from tocsin.web.front import MAX_SMALL_BODY, Front
from tocsin.web.intake import IntakeEndpoint

_DESCRIPTION = (
    "Logs in, alerts decided, one ticket for each thing that is wrong. Lists page by opaque cursors (`next`); errors"
    " are RFC 9457 problem documents; instants are UTC; durations are in seconds."
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Application(FastAPI):
    """FastAPI behind `Front`. The lifespan sets `state.services`."""

    def __init__(self, lifespan: Lifespan) -> None:
        super().__init__(
            title="Tocsin",
            version=__version__,
            description=_DESCRIPTION,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            max_body_size=MAX_SMALL_BODY,
        )
        problems.install(self)
        routed = (
            logs_routes,
            alerts_routes,
            patterns_routes,
            bulk_routes,
            import_routes,
            export_routes,
            tickets_routes,
            rules_routes,
            sla_routes,
            collaboration_routes,
            backtest_routes,
            silences_routes,
            heartbeats_routes,
            declaration_routes,
            explain_routes,
            apply_routes,
            report_routes,
            forecast_routes,
            views_routes,
            changes_routes,
            similar_routes,
            postmortem_routes,
            people_routes,
            schedule_routes,
            paging_routes,
            drill_routes,
            channel_routes,
            delivery_routes,
            template_routes,
            answer_routes,
            slack_routes,
        )
        for module in (*routed, health, docs_page, act_routes):
            self.include_router(module.router)
        self.mount(docs_page.STATIC, docs_page.FILES)
        self._front = Front(super().__call__, IntakeEndpoint(self._services), services=self._services)

    def _services(self) -> Any:
        return self.state.services

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema
