"""The web application: routes, problem documents, OpenAPI, behind the guard."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tocsin import __version__
from tocsin.web import alerts_routes, health, logs_routes, problems, tickets_routes
from tocsin.web.front import MAX_SMALL_BODY, Front
from tocsin.web.intake import IntakeEndpoint
from tocsin.web.schemas import IngestedOut, LogOut, ProblemOut

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
            redoc_url=None,
            max_body_size=MAX_SMALL_BODY,
        )
        problems.install(self)
        for module in (logs_routes, alerts_routes, tickets_routes, health):
            self.include_router(module.router)
        self._front = Front(super().__call__, IntakeEndpoint(self._services), services=self._services)

    def _services(self) -> Any:
        return self.state.services

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with POST /logs, which is served outside the router."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description,
                license_info=self.license_info,
                routes=self.routes,
            )
            document["paths"].setdefault("/logs", {})["post"] = logs_routes.INTAKE_OPERATION
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (IngestedOut, LogOut, ProblemOut):
                schemas.setdefault(model.__name__, model.model_json_schema(ref_template="#/components/schemas/{model}"))
            self.openapi_schema = document
        return self.openapi_schema
