"""The console: its one page, for browsers, and the files that it is made of, from this process alone."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from litestar import MediaType, Request, get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from app.api.problems import Refusal
from app.api.schemas import Alive

# Nothing inline, nothing from elsewhere, and in nobody's frame.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOLDER: Final = Path(__file__).parents[1] / "console"
_HEADERS: Final = {
    # Asked about at each visit, and sent when it changed: after an upgrade nobody runs half of the old console.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Asset(NamedTuple):
    """A file of the console as it is sent."""

    content: bytes
    media_type: str
    tag: str


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, _TYPES[path.suffix], sha256(content).hexdigest()[:32])


_ASSETS: Final = {
    path.relative_to(_FOLDER).as_posix(): _asset(path) for path in _FOLDER.rglob("*") if path.is_file()
}
_PAGE: Final = _ASSETS.pop("index.html")
_ALIVE: Final = msgspec.json.encode(Alive())


@get("/", name="root")
async def root(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Programs learn that somebody is there; browsers get the console."""
    if _wants_page(request):
        return _sent(_PAGE, request, Vary="Accept")
    return ASGIResponse(body=_ALIVE, headers={"Cache-Control": "no-store", "Vary": "Accept"})


@get("/orders/{order_id:str}", name="orderPage", include_in_schema=False)
async def order_page(request: Request[Any, Any, Any], order_id: FromPath[str]) -> ASGIResponse:
    """The same page, which finds the order by its path; programs find it at `/api/orders/{id}`."""
    if not _wants_page(request):
        raise Refusal("not_found", f"The order itself is at /api/orders/{order_id}.")
    return _sent(_PAGE, request, Vary="Accept")


@get("/console/{name:path}", name="consoleAsset", include_in_schema=False)
async def console_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> ASGIResponse:
    asset = _ASSETS.get(name.lstrip("/"))
    if asset is None:
        raise Refusal("not_found")
    return _sent(asset, request)


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    try:
        return request.accept.best_match([MediaType.JSON.value, MediaType.HTML.value]) == MediaType.HTML
    except OverflowError:  # Litestar reads a weight as any float, "inf" too
        return False


def _sent(asset: Asset, request: Request[Any, Any, Any], **headers: str) -> ASGIResponse:
    return ASGIResponse(
        body=b"" if (is_known := _is_known(asset, request)) else asset.content,
        status_code=304 if is_known else 200,
        media_type=asset.media_type,
        headers={**_HEADERS, **headers, "ETag": f'"{asset.tag}"'},
    )


def _is_known(asset: Asset, request: Request[Any, Any, Any]) -> bool:
    """Whether the client has it already (RFC 9110, `If-None-Match`, whose comparison is the weak one)."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in known or f'"{asset.tag}"' in known


console_handlers: Final = [root, order_page, console_asset]
