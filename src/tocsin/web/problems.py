"""Errors as RFC 9457 problem documents. One table says which kind of error has which HTTP status."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from tocsin.kit import errors as kinds
from tocsin.kit.errors import FieldError, TocsinError
from tocsin.tickets.workflow import TransitionRefused
from tocsin.web.faults import faults

MEDIA_TYPE: Final = "application/problem+json"
INTERNAL: Final = "internal-error"

STATUSES: Final[Mapping[type[TocsinError], int]] = {
    kinds.Malformed: 400,
    kinds.Unauthenticated: 401,
    kinds.Forbidden: 403,
    kinds.NotFound: 404,
    kinds.Unreadable: 404,
    TransitionRefused: 409,
    kinds.InUse: 409,
    kinds.Conflict: 409,
    kinds.PreconditionFailed: 412,
    kinds.TooLarge: 413,
    kinds.UnsupportedMedia: 415,
    kinds.Invalid: 422,
    kinds.IdempotencyMismatch: 422,
    kinds.Overloaded: 503,
    kinds.Unavailable: 503,
}


def name_of(kind: type[TocsinError]) -> str:
    """`TransitionRefused` -> `transition-refused`, the last part of a problem's `type`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def _known(error: TocsinError) -> type[TocsinError]:
    return next((kind for kind in type(error).__mro__ if kind in STATUSES), TocsinError)


def problem(error: TocsinError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for an error of ours."""
    kind = _known(error)
    headers: dict[str, str] = {}
    extra: dict[str, Any] = {}
    if isinstance(error, kinds.Invalid) and error.errors:
        extra["errors"] = [_field(found) for found in error.errors]
    if isinstance(error, TransitionRefused):
        extra["allowed"] = error.allowed
    if isinstance(error, kinds.InUse):
        shown = error.used_by[: kinds.IN_USE_SHOWN]
        extra["used_by"] = [{"kind": kind, "name": name} for kind, name in shown]
        extra["used_by_count"] = len(error.used_by)
    if isinstance(error, kinds.PreconditionFailed):
        extra["version"] = error.facts["version"]
    if isinstance(error, kinds.Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, kinds.Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    status = STATUSES.get(kind, 500)
    return status, headers, document(status, name_of(kind), str(error), **extra)


def document(status: int, name: str, detail: str, **extra: object) -> bytes:
    """A problem document's bytes."""
    title = name.replace("-", " ").capitalize()
    content = {"type": f"urn:tocsin:problem:{name}", "title": title, "status": status, "detail": detail, **extra}
    return json.dumps(content, ensure_ascii=True).encode()


def unforeseen(request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for an error that is a bug of ours: an id, no reason."""
    detail = f"An error on our side; the server's log has it under request id {request_id}."
    return 500, {}, document(500, INTERNAL, detail)


def _field(error: FieldError) -> dict[str, str]:
    return {"detail": error.detail, "pointer": error.pointer}


def _response(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    return Response(body, status, dict(headers), MEDIA_TYPE)


def _on_known(_: Request, error: Exception) -> Response:
    if not isinstance(error, TocsinError):
        raise error
    return _response(*problem(error))


def _on_invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = faults(error.errors(), error.body)
    text = "; ".join(f"{f.pointer or 'body'}: {f.detail}" for f in found[:5])
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return _response(*problem(kinds.Malformed(text, errors=tuple(found))))
    return _response(*problem(kinds.Invalid(text, errors=tuple(found))))


def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 400 and error.__cause__ is not None:
        return _response(*problem(kinds.Malformed(_unreadable(error.__cause__))))
    name = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}.get(error.status_code, "http-error")
    body = document(error.status_code, name, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_at(request))
    return _response(error.status_code, headers, body)


def _unreadable(cause: BaseException) -> str:
    """Why a body that FastAPI gave up on can't be read."""
    if isinstance(cause, UnicodeDecodeError):
        return f"the body is not UTF-8 text: {cause.reason} at byte {cause.start}"
    if isinstance(cause, RecursionError):
        return "the body is nested too deeply"
    if isinstance(cause, ValueError) and "digits" in str(cause):
        return f"the body holds a number of more than {sys.get_int_max_str_digits()} digits"
    return "the body is broken or of another kind than its Content-Type says"


def _methods_at(request: Request) -> list[str]:
    """What the path of a request takes: the router only knows of the route it tried first."""
    paths: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    fitting = [methods for path, methods in paths.items() if compile_path(path)[0].match(request.url.path)]
    return sorted({method.upper() for methods in fitting for method in methods})


def _on_unforeseen(request: Request, _: Exception) -> Response:
    return _response(*unforeseen(request.state.request_id))


def install(app: FastAPI) -> None:
    """Let the application answer every error with a problem document."""
    app.add_exception_handler(Exception, _on_unforeseen)
    app.add_exception_handler(TocsinError, _on_known)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
