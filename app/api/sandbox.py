"""Scenarios as clients ask for them: by a header or in the body, and never in production."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from app.api.parameters import malformed
from app.api.problems import Refusal
from app.orders.model import OrderRequest
from app.orders.scenarios import scenario_named

HEADER: Final = "x-sandbox-scenario"
_FIELD: Final = HEADER.encode()


def with_scenario(
    order: OrderRequest, fields: Iterable[tuple[bytes, bytes]], *, is_production: bool
) -> OrderRequest:
    """The order with the scenario that its body or the header names. Raises Refusal."""
    named = {value.decode("latin-1").strip() for name, value in fields if name == _FIELD}
    if is_production and (named or order.scenario is not None):
        raise Refusal("sandbox_only")
    if not named:
        return order
    if len(named) > 1:
        raise malformed(HEADER, "is given twice")
    try:
        scenario = scenario_named(named.pop())
    except ValueError as error:
        raise malformed(HEADER, str(error)) from None
    if order.scenario not in {None, scenario}:
        raise malformed(HEADER, f"names another scenario than the body, which says {order.scenario}")
    return msgspec.structs.replace(order, scenario=scenario)
