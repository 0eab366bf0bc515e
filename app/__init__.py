"""Order execution for token swaps on Solana."""

__version__ = "0.1.0"
