"""`/docs`: every endpoint, to try. Swagger UI is served from here, so the page needs no other host."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

STATIC: Final = "/static/swagger-ui"
FILES: Final = StaticFiles(directory=Path(__file__).parent / "static" / "swagger-ui")
# The description of the API is no secret; what it describes still asks who comes in.
OPEN_PATHS: Final = frozenset({"/", "/docs", "/openapi.json"})

router = APIRouter(include_in_schema=False)


@router.get("/")
def root() -> RedirectResponse:
    return RedirectResponse("/docs")


@router.get("/docs")
def docs() -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Tocsin",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon-32x32.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )
