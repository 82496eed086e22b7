"""Whatever fits the description, or nearly does: no 500, no answer that the description does not know."""

import warnings
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from desk import critical
from tocsin.main import create_app
from tocsin.settings import Settings

DESCRIPTION = create_app(Settings()).openapi()  # making it takes a second: once, not for each operation
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in DESCRIPTION["paths"].items()
    for method in methods
    if path != "/logs/stream"  # it does not end by itself
]
SENSIBLE = {"400", "413", "415", "422"}


@pytest.fixture
def described(sqlite_settings: Settings, open_api: Callable[..., TestClient], clock: object) -> TestClient:
    api = open_api(sqlite_settings, clock=clock)
    api.post("/logs", json=[critical("one"), critical("two"), critical("three")])
    for status in ("IN_PROGRESS", "RESOLVED"):
        api.patch("/tickets/2", json={"status": status})
    return api


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_no_request_makes_the_server_fail(described: TestClient, operation: str, mode: Any) -> None:
    method, path = operation.split()
    found = SCHEMA[path][method]
    known = set(found.definition.raw["responses"]) | SENSIBLE

    @given(data=st.data())
    @settings(
        max_examples=8,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(data: st.DataObject) -> None:
        case = data.draw(found.as_strategy(generation_mode=mode))
        arguments = case.as_transport_kwargs(base_url="http://127.0.0.1")
        try:
            answer = described.request(
                arguments["method"],
                arguments["url"],
                params=arguments.get("params"),
                headers={
                    k: v for k, v in (arguments.get("headers") or {}).items() if k.lower() not in {"host", "user-agent"}
                },
                json=arguments.get("json"),
                content=arguments.get("data") if isinstance(arguments.get("data"), str | bytes) else None,
            )
        except httpx.InvalidURL:
            return  # longer than a client sends
        assert answer.status_code < 500, answer.text
        assert str(answer.status_code) in known | ({"404", "405"} if mode is GenerationMode.NEGATIVE else set()), (
            answer.text
        )
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run()
        except Exception as error:
            if "Unsatisfiable" in type(error).__name__:
                pytest.skip("nothing about this operation can be invalid")
            raise
    assert described.get("/readyz").status_code == 200
