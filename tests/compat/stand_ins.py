"""Stand-ins for tools that the READMEs' lines call and a machine may lack: `stand_ins.py TOOL [ARGUMENT…]`.

Each does what those lines ask of the tool and no more. The WebSocket ones send and receive the same frames.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import join
from typing import Final, NoReturn

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


def jq(arguments: Sequence[str]) -> None:
    """`jq -r .field`."""
    raw, field = arguments
    assert raw == "-r"
    sys.stdout.write(f"{json.load(sys.stdin)[field.removeprefix('.')]}\n")


def npm(arguments: Sequence[str]) -> NoReturn:
    """`npm run NAME [-- ARGUMENT…]`, `npm start`, `npm test`: the script of package.json, as npm hands it to sh."""
    name, *rest = arguments[1:] if arguments[0] == "run" else arguments
    scripts = json.loads(Path("package.json").read_text(encoding="utf-8"))["scripts"]
    line = " ".join([scripts[name], join(rest[1:] if rest[:1] == ["--"] else rest)])
    os.execvp("sh", ["sh", "-c", line])


def npx(arguments: Sequence[str]) -> None:
    """`npx wscat -c URL`."""
    tool, option, url = arguments
    assert (tool, option) == ("wscat", "-c")
    websocat([url])


def websocat(arguments: Sequence[str]) -> None:
    """`websocat URL`: each message on a line, until the server closes."""
    (url,) = arguments
    asyncio.run(_print_messages(url))


async def _print_messages(url: str) -> None:
    async with asyncio.timeout(30), connect(url, proxy=None) as socket:
        try:
            while True:
                sys.stdout.write(f"{await socket.recv()!s}\n")
        except ConnectionClosed:
            return


TOOLS: Final[dict[str, Callable[[Sequence[str]], None]]] = {
    "jq": jq,
    "npm": npm,
    "npx": npx,
    "websocat": websocat,
}

if __name__ == "__main__":
    TOOLS[sys.argv[1]](sys.argv[2:])
