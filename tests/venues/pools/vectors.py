"""What the venues' own SDKs answered, line by line; `tests/vectors/README.md` says what the fields mean.

VECTORS_DIR names another folder with files of the same form.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from app.venues.pools.quote import InsufficientLiquidity, PoolError, PriceRangeViolation

SHIPPED: Final = Path(__file__).parents[2] / "vectors"
FOLDER: Final = Path(os.environ.get("VECTORS_DIR") or SHIPPED)

ERRORS: Final[dict[str, type[PoolError]]] = {
    "insufficient_liquidity": InsufficientLiquidity,
    "price_range_violation": PriceRangeViolation,
}


def lines(name: str, folder: Path = FOLDER) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz") as file:
        yield from map(msgspec.json.decode, file)


def differences(name: str, answer: Callable[[dict[str, Any]], dict[str, str]]) -> dict[str, Any]:
    """The lines where `answer` gives another result than the oracle, by id; a PoolError counts as its `error`."""
    found = {}
    seen = 0
    for line in lines(name):
        seen += 1
        expected = line.get("result") or {"error": line["error"]}
        try:
            ours = answer(line)
        except PoolError as error:
            ours = {"error": next((key for key, kind in ERRORS.items() if type(error) is kind), repr(error))}
        if ours != expected:
            found[line["id"]] = {key: (ours.get(key), expected.get(key)) for key in ours | expected}
    if not seen:
        pytest.fail(f"{name} has no lines")
    return found


def decimals(fraction: Fraction, places: int = 12) -> str:
    """The decimal number with so many places, rounded half away from zero."""
    sign, scaled = "-" if fraction < 0 else "", half_up(abs(fraction) * 10**places)
    return f"{sign}{scaled // 10**places}.{scaled % 10**places:0{places}}"


def half_up(number: Fraction) -> int:
    """The nearest integer to a number that is not negative, the upper one of two that are equally near."""
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)
