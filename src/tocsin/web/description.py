"""The OpenAPI document: what FastAPI finds, POST /logs beside it, problem documents, keys, examples."""

from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from tocsin.web import logs_routes
from tocsin.web.examples import EXAMPLES
from tocsin.web.import_schemas import ImportedTicketIn
from tocsin.web.schemas import IngestedOut, LogOut, ProblemOut

_REF: Final = "#/components/schemas/"
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": f"{_REF}ProblemOut"}}}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "A repeat within 24 h with the same key and body gets the first answer; nothing is done twice.",
}
_ANY_ROUTE: Final = {
    "401": "A key is needed, or the one sent is not valid",
    "403": "Not from here: until a key exists only this machine is served",
    "503": "Not now: try again after `Retry-After` seconds",
}
_OPEN: Final = frozenset({"/healthz", "/readyz"})


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        license_info=app.license_info,
        routes=app.routes,
    )
    document["paths"].setdefault("/logs", {})["post"] = deepcopy(logs_routes.INTAKE_OPERATION)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for model in (IngestedOut, LogOut, ProblemOut, ImportedTicketIn):
        schema = model.model_json_schema(ref_template=_REF + "{model}")
        for name, part in schema.pop("$defs", {}).items():
            schemas.setdefault(name, part)
        schemas.setdefault(model.__name__, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)  # FastAPI's own form of errors, which is not what is sent
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = [example]
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "TOCSIN_ADMIN_KEY, once it is set."}
    }
    document["security"] = [{}, {"key": []}]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Errors as the problem documents they are, and the key of repeats on every POST."""
    responses = operation["responses"]
    if path not in _OPEN:
        for status, text in _ANY_ROUTE.items():
            responses.setdefault(status, {"description": text})
    if operation.get("requestBody"):
        responses.setdefault("400", {"description": "The body can't be read"})
        responses.setdefault("413", {"description": "The body is too large"})
    for status, response in responses.items():
        if status >= "400":
            response["content"] = _PROBLEM
    if "422" in responses and responses["422"]["description"] == "Validation Error":
        responses["422"]["description"] = "A field or parameter is not valid; `errors` names each"
    named = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    if method == "post" and "idempotency-key" not in named:
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
