"""Base58 as Bitcoin and Solana write it."""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


_PAIRS: Final = [high + low for high in ALPHABET for low in ALPHABET]
_CHUNK: Final = 58**10  # the largest even power below 2⁶³: five pairs of digits without big numbers


def encode(data: bytes) -> str:
    """The bytes as one number in base 58, most significant digit first; each leading zero byte is a `1`."""
    number = int.from_bytes(data, "big")
    pairs = []
    while number:
        number, chunk = divmod(number, _CHUNK)
        for _ in range(5):
            chunk, pair = divmod(chunk, 58 * 58)
            pairs.append(_PAIRS[pair])
    pairs.reverse()
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + "".join(pairs).lstrip("1")
