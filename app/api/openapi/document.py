"""Putting the OpenAPI document together: paths and methods from the app's own routes, the rest from the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.routes import BaseRoute, HTTPRoute

from app import __version__
from app.api.openapi import examples
from app.api.openapi.components import HEADERS, LINKS, REF, Json, schemas
from app.api.openapi.operation import Answer, Operation
from app.api.openapi.operations import OPERATIONS
from app.api.openapi.parameters import PARAMETERS
from app.api.problems import MEDIA_TYPE, PROBLEMS

EVERYWHERE: Final = ("bad_request", "request_timeout", "header_too_large", "internal_error")
WITH_RETRY_AFTER: Final = ("rate_limited", "storage_unavailable")
DESCRIPTION: Final = (
    "Order execution for token swaps on Solana: durable, exactly once, streamed step by step. "
    "Errors are RFC 9457 problem documents; `code` is stable. HEAD is answered wherever GET is."
)
TAGS: Final = {
    "orders": "Place, execute and read orders.",
    "stream": "Watch one order, or many, over a WebSocket or as Server-Sent Events.",
    "market": "What the venues would pay, and what the engine does.",
    "engine": "How the engine is, and what its problems mean.",
}


def openapi_document(routes: Iterable[BaseRoute]) -> Json:
    """The document for these routes. Raises KeyError for a call that nobody has described."""
    paths: dict[str, Json] = {}
    for path, method, handler in _calls(routes):
        assert handler.name is not None
        operation = _operation(handler.name, OPERATIONS[handler.name], method)
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Order engine",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "links": LINKS,
        },
    }


def _calls(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in sorted(routes, key=lambda route: route.path_format):
        if isinstance(route, HTTPRoute):
            # Litestar keeps the methods in a set, whose order is another one in each process.
            for method, (handler, _) in sorted(route.route_handler_map.items(), key=lambda item: item[0]):
                if handler.resolve_include_in_schema():
                    yield route.path_format or "/", method, handler


def _operation(name: str, operation: Operation, method: str) -> Json:
    common = ("RateLimit-Policy", "RateLimit") if method == "POST" else ()
    answers = {str(status): _answer(answer, common) for status, answer in operation.answers.items()}
    for status, codes in _by_status((*operation.problems, *EVERYWHERE)).items():
        answers[str(status)] = _problem_answer(codes, common)
    parts: Json = {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in operation.parameters],
        "responses": answers,
    }
    if operation.takes_order:
        parts["requestBody"] = _order_body()
    if operation.messages is not None:
        parts["x-messages"] = operation.messages
    return parts


def _by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    grouped: dict[int, list[str]] = {}
    for code in codes:
        grouped.setdefault(PROBLEMS[code].status, []).append(code)
    return grouped


def _answer(answer: Answer, common: tuple[str, ...]) -> Json:
    parts: Json = {"description": answer.description, "headers": _headers((*answer.headers, *common))}
    if answer.schema is not None:
        content = {"schema": _schema_of(answer.schema), "examples": {"example": {"value": answer.example}}}
        parts["content"] = {answer.media_type: content}
    if answer.links:
        parts["links"] = {name: {"$ref": f"#/components/links/{name}"} for name in answer.links}
    return parts


def _problem_answer(codes: list[str], common: tuple[str, ...]) -> Json:
    extra = tuple(
        name
        for name, of in (("Retry-After", WITH_RETRY_AFTER), ("Upgrade", ("upgrade_required",)))
        if any(code in of for code in codes)
    )
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {
            code: {"summary": PROBLEMS[code].title, "value": _problem_example(code)} for code in codes
        },
    }
    description = " ".join(f"`{code}`: {PROBLEMS[code].meaning}" for code in codes)
    return {
        "description": description,
        "headers": _headers((*extra, *common)),
        "content": {MEDIA_TYPE: content},
    }


def _problem_example(code: str) -> Json:
    kind = PROBLEMS[code]
    example = {
        "type": f"/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.meaning,
        "instance": "/api/orders/execute",
        "code": code,
    }
    fields = {"invalid_request": examples.FIELD_PROBLEM, "invalid_parameter": examples.PARAMETER_PROBLEM}
    return example | ({"errors": [fields[code]]} if code in fields else {})


def _headers(names: tuple[str, ...]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _schema_of(schema: Any) -> Json:
    return msgspec.json.schema_components([schema], ref_template=REF)[0][0]


def _order_body() -> Json:
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/OrderRequest"},
                "examples": {
                    "order": {"summary": "A market order", "value": examples.MARKET_ORDER},
                    "spellings": {"summary": "Other spellings", "value": examples.OTHER_SPELLINGS},
                },
            }
        },
    }
