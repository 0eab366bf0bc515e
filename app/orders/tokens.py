"""The tokens that the engine trades, with their mainnet mints and decimals."""

from __future__ import annotations

from typing import Final

import msgspec


class Token(msgspec.Struct, frozen=True):
    symbol: str
    mint: str
    decimals: int
    name: str = ""

    @property
    def is_known(self) -> bool:
        return self.mint != ""


SOL: Final = Token("SOL", "So11111111111111111111111111111111111111112", 9, "Solana")
USDC: Final = Token("USDC", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGkZwyTDt1v", 6, "USD Coin")
USDT: Final = Token("USDT", "Es9vMFrzaCERmJfrF4H2FYD4KCoNky11McCe8BenwNYB", 6, "Tether USD")
BONK: Final = Token("BONK", "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263", 5, "Bonk")
JUP: Final = Token("JUP", "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN", 6, "Jupiter")
RAY: Final = Token("RAY", "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R", 6, "Raydium")

TOKENS: Final = (SOL, USDC, USDT, BONK, JUP, RAY)

_BY_NAME: Final = {name: token for token in TOKENS for name in (token.symbol, token.mint)}


def find_token(name: str) -> Token | None:
    """The token with this symbol or mint address, both case-sensitive."""
    return _BY_NAME.get(name)


def token_named(symbol: str) -> Token:
    """The token of a stored order; one that is not traded any more has no mint and is not known."""
    return find_token(symbol) or Token(symbol, "", 0)
