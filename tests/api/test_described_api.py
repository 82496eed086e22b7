"""Whatever fits the description, or nearly does: no 500, no answer that the description does not know."""

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from starlette.testclient import TestClient

from desk import FakeClock, critical
from tocsin.main import create_app
from tocsin.settings import Settings
from tocsin.storage.database import DATABASE_FILE

DESCRIPTION = create_app(Settings()).openapi()  # making it takes a second: once, not for each operation
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in DESCRIPTION["paths"].items()
    for method in methods
    if path != "/logs/stream"  # it does not end by itself
]
SENSIBLE = {"400", "413", "415", "422"}


@pytest.fixture(scope="module")
def described(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One server for all requests: whatever the earlier ones have left behind, it answers."""
    folder = tmp_path_factory.mktemp("described")
    shutil.copy(sqlite_template, folder / DATABASE_FILE)
    app = create_app(Settings(data_dir=folder), clock=FakeClock())
    address = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 50_000)}
    with TestClient(app, **address, raise_server_exceptions=False, follow_redirects=False) as api:
        api.post("/logs", json=[critical("one"), critical("two"), critical("three")])
        for status in ("IN_PROGRESS", "RESOLVED"):
            api.patch("/tickets/2", json={"status": status})
        yield api


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["valid", "invalid"])
def test_no_request_makes_the_server_fail(described: TestClient, operation: str, mode: Any) -> None:
    method, path = operation.split()
    found = SCHEMA[path][method]
    known = set(found.definition.raw["responses"]) | SENSIBLE

    @given(data=st.data())
    @settings(
        max_examples=6,
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
