"""Documentation for people and programs, from this process alone: both documents, the pages that show them, the problems."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from litestar import MediaType, Request, get
from litestar.params import FromPath
from litestar.response import File
from litestar.response.base import ASGIResponse

from app.api.problems import PROBLEMS, Refusal
from app.api.schemas import ProblemKind

OPENAPI_STATE: Final = "openapi"  # where the app's state keeps the document, encoded
YAML_TYPE: Final = "application/yaml"  # RFC 9512


def _folder_of(package: str) -> Path:
    """Where an installed package is; nothing of it is imported."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


_PAGES: Final = Path(__file__).with_name("pages")
_SWAGGER: Final = _folder_of("litestar_offline_docs") / "static"
_REACT: Final = _folder_of("litestar_asyncapi") / "assets" / "ui"
_REACT_PARTS: Final[dict[str, Any]] = json.loads((_REACT / "manifest.json").read_bytes())
_REACT_ENTRY: Final = _REACT_PARTS["tools/frontend/react.ts"]  # the AsyncAPI React component

_SCRIPTS: Final = [_REACT_ENTRY["file"], *(_REACT_PARTS[part]["file"] for part in _REACT_ENTRY["imports"])]
_ASSETS: Final = {
    path.name: path
    for path in (
        _SWAGGER / "swagger-ui-bundle.js",
        _SWAGGER / "swagger-ui.css",
        _PAGES / "pages.css",
        *(_REACT / name for name in (*_SCRIPTS, *_REACT_ENTRY["css"])),
    )
}
_OPENAPI_PAGE: Final = (_PAGES / "openapi.html").read_bytes()
_ASYNCAPI_PAGE: Final = (
    (_PAGES / "asyncapi.html")
    .read_text("utf-8")
    .replace("{{script}}", Path(_REACT_ENTRY["file"]).name)
    .replace("{{style}}", Path(_REACT_ENTRY["css"][0]).name)
    .encode()
)
_ASYNCAPI_YAML: Final = Path(__file__).with_name("asyncapi.yaml").read_bytes()
_ASYNCAPI_JSON: Final = msgspec.json.encode(yaml.safe_load(_ASYNCAPI_YAML))


@get("/docs", name="docs", media_type=MediaType.HTML, include_in_schema=False)
async def docs() -> bytes:
    return _OPENAPI_PAGE


@get("/docs/asyncapi", name="asyncapiDocs", media_type=MediaType.HTML, include_in_schema=False)
async def asyncapi_docs() -> bytes:
    return _ASYNCAPI_PAGE


@get("/docs/assets/{name:str}", name="docsAsset", include_in_schema=False)
async def docs_asset(name: FromPath[str]) -> File:
    if name not in _ASSETS:
        raise Refusal("not_found")
    return File(_ASSETS[name], filename=name, content_disposition_type="inline")


@get(["/docs/openapi.json", "/openapi.json"], name="openapi", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> ASGIResponse:
    return ASGIResponse(body=request.app.state[OPENAPI_STATE])


@get(["/docs/asyncapi.yaml", "/asyncapi.yaml"], name="asyncapi", include_in_schema=False)
async def asyncapi() -> ASGIResponse:
    return ASGIResponse(body=_ASYNCAPI_YAML, media_type=YAML_TYPE)


@get(["/docs/asyncapi.json", "/asyncapi.json"], name="asyncapiJson", include_in_schema=False)
async def asyncapi_json() -> ASGIResponse:
    return ASGIResponse(body=_ASYNCAPI_JSON)


@get("/problems", name="listProblems")
async def list_problems() -> ASGIResponse:
    return ASGIResponse(body=msgspec.json.encode([problem_kind(code) for code in PROBLEMS]))


@get("/problems/{code:str}", name="getProblem")
async def get_problem(code: FromPath[str]) -> ASGIResponse:
    if code not in PROBLEMS:
        raise Refusal("not_found")
    return ASGIResponse(body=msgspec.json.encode(problem_kind(code)))


def problem_kind(code: str) -> ProblemKind:
    kind = PROBLEMS[code]
    return ProblemKind(code, kind.status, kind.title, kind.meaning)


docs_handlers: Final = [
    docs,
    asyncapi_docs,
    docs_asset,
    openapi,
    asyncapi,
    asyncapi_json,
    list_problems,
    get_problem,
]
