"""The API as a Litestar application."""

from __future__ import annotations

from functools import partial

import msgspec
from litestar import Litestar

from app.api.body import MAX_BODY
from app.api.console import console_handlers
from app.api.docs import OPENAPI_STATE, docs_handlers
from app.api.front import Front
from app.api.health import health_handlers
from app.api.market import market_router
from app.api.multiplex import multiplex_handlers
from app.api.openapi.document import openapi_document
from app.api.orders import orders_router
from app.api.problems import answer_problem
from app.api.sse import stream_events
from app.api.state import OpenParts, open_state
from app.api.stats import get_stats
from app.api.stream import stream_handlers
from app.settings import Settings


def create_app(settings: Settings, open_parts: OpenParts) -> Litestar:
    """The application; `open_parts` is entered when it starts and left when it stops."""
    app = Litestar(
        [
            orders_router,
            market_router,
            get_stats,
            stream_events,
            *multiplex_handlers,
            *stream_handlers,
            *health_handlers,
            *console_handlers,
            *docs_handlers,
        ],
        lifespan=[partial(open_state, settings=settings, open_parts=open_parts)],
        exception_handlers={Exception: answer_problem},
        request_max_body_size=MAX_BODY,
        openapi_config=None,  # bodies are read and written as bytes: `openapi/` says what they hold
        logging_config=None,  # `answer_problem` logs what nobody expected, and nothing else is worth a line
    )
    app.state[OPENAPI_STATE] = msgspec.json.encode(openapi_document(app.routes))
    app.asgi_handler = Front(app.asgi_handler)
    return app
