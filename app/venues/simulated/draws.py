"""Numbers drawn by counting, not by state: each is a hash of (seed, purpose, counters)."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

_TWELVE_SHORTS: Final = struct.Struct("<12H")
_MEAN_OF_TWELVE: Final = 12 * (2**16 - 1) // 2


class Draws:
    """The draws of one seed: the same in every process, in any order, however often they are asked for."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.blake2b(str(seed).encode(), digest_size=32).digest()

    def below(self, bound: int, purpose: str, *counters: object) -> int:
        """A whole number from 0 to bound − 1, uniform for bounds far below 2⁶⁴."""
        return int.from_bytes(self._digest(8, purpose, counters), "little") * bound >> 64

    def happens(self, rate: float, purpose: str, *counters: object) -> bool:
        """Whether an event of this probability happens; one that does still does at a higher rate."""
        return self.below(2**53, purpose, *counters) < rate * 2**53

    def normal(self, purpose: str, *counters: object) -> float:
        """A number with mean 0 and variance 1, never beyond ±6: the sum of twelve uniforms (Irwin–Hall).

        Built from integers alone, so that no machine's mathematical library can change it.
        """
        total: int = sum(_TWELVE_SHORTS.unpack(self._digest(24, purpose, counters)))
        return (total - _MEAN_OF_TWELVE) / 2**16

    def _digest(self, size: int, purpose: str, counters: tuple[object, ...]) -> bytes:
        text = ":".join((purpose, *map(str, counters)))
        return hashlib.blake2b(text.encode(), digest_size=size, key=self._key).digest()
