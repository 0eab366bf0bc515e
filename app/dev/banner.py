"""What `order-engine run` says when it is ready."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from string import Template
from typing import Final

from app.settings import Settings

_RESET_BY_MAKE: Final = Path(__file__).resolve().parents[2] / ".order-engine"
_DEFAULT_URL: Final = f"http://{Settings().host}:{Settings().port}"
_READY: Final = Template("""
The engine is ready, with its console, at $url  (API reference: $url/docs)

  Place an order, and read the latest ones:

    curl -s $url/api/orders/execute -H 'content-type: application/json' -d '{"type": "market", "tokenIn": "SOL", "tokenOut": "USDC", "amount": 1.25}'
    curl -s '$url/api/orders?limit=5'

  Follow one over WebSocket:  $program watch <orderId>$address
  $data
  Stop: Ctrl-C
""")


def banner(url: str, state_dir: Path, folder: Path, settings: Settings) -> str:
    # Another terminal may not know our HOST and PORT.
    address = "" if url == _DEFAULT_URL else f" --url {url}"
    data = _data(state_dir, folder, settings)
    return _READY.substitute(url=url, program=_program(), address=address, data=data)


def _data(state_dir: Path, folder: Path, settings: Settings) -> str:
    if settings.database_url:
        return "Data: in the database of DATABASE_URL"
    where = f"{folder} (linked from {state_dir})" if state_dir.is_symlink() else str(folder)
    how_to_delete = "; `make reset` deletes them" if state_dir == _RESET_BY_MAKE else ""
    return f"Data: {where}; they survive a restart{how_to_delete}"


def _program() -> str:
    """How to call the program from here: by its name when it is on the PATH, or else beside this interpreter."""
    if shutil.which("order-engine"):
        return "order-engine"
    beside = Path(sys.executable).with_name("order-engine")
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
