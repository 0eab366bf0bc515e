"""The statements of `queries.sql`, by name."""

from __future__ import annotations

from typing import Final

from app.storage.queries import load_queries

QUERIES: Final = load_queries("app.jobs")
