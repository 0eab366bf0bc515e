"""Logs: events with fields on standard error, as JSON in production and as lines for people elsewhere."""

from __future__ import annotations

import logging
import sys

import structlog

from app.settings import LogLevel, Settings


def configure_logs(settings: Settings, level: LogLevel = LogLevel.INFO) -> None:
    """Sets up structlog, and the libraries' own logs from warnings up."""
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # rich's shows local variables: secrets too
    )
    errors: structlog.typing.Processor = structlog.dev.set_exc_info
    if settings.is_production:
        renderer, errors = structlog.processors.JSONRenderer(), structlog.processors.format_exc_info
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            errors,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    # What these say of an outage, at length and again and again, the worker and the lanes say in a line each.
    for name in ("procrastinate", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
