"""A page in headless Chromium, over the DevTools protocol: what it shows, whom it asks, what it complains about."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from app.processes.child import spawn
from tests.e2e.clients import until
from tests.e2e.programs import kill_at_once

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
# Without a call to anybody: neither to its maker nor through a proxy.
QUIET: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad",
    "--disable-dev-shm-usage",
)  # fmt: skip
FLAGS: Final = ("--headless", *QUIET, "--remote-debugging-port=0", "--window-size=1400,1800")
SECONDS: Final = 30.0

Json = dict[str, Any]


def chromium() -> str | None:
    """Where it is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Page:
    """The one page of a browser; `requests` and `complaints` are of everything that it has shown."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def open(self, url: str) -> None:
        await self.tell("Page.navigate", url=url)

    async def text(self) -> str:
        """What is to be read on it, as it is laid out: nothing that is hidden."""
        return str(await self.value("document.body ? document.body.innerText : ''"))

    async def value(self, expression: str) -> Any:
        answer = await self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def shows(self, *texts: str) -> None:
        """Fails unless all of these can be read on it before the deadline."""
        shown = ""
        try:
            async with asyncio.timeout(SECONDS):
                while not all(text in shown for text in texts):
                    await asyncio.sleep(0.05)
                    shown = await self.text()
        except TimeoutError:
            lacking = [text for text in texts if text not in shown]
            raise AssertionError(f"not shown: {lacking}; {self.complaints}; {shown[:2000]}") from None

    async def tell(self, method: str, **parameters: Any) -> Json:
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(SECONDS):
            result: Json = await answer
        return result

    async def listen(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._asked.pop(message["id"]).set_result(message.get("result", {}))
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(str(message["params"]["exceptionDetails"]))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(str(message["params"]["entry"]))


@asynccontextmanager
async def browsing(program: str, folder: Path) -> AsyncIterator[Page]:
    """An empty page in a browser of its own, which is gone afterwards."""
    profile = folder / "profile"
    log = folder / "chromium.log"
    with log.open("wb") as output:
        process = spawn(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            dies_by=signal.SIGKILL,
            output=output.fileno(),
        )
    try:
        async with connect(await _address(profile), max_size=None, compression=None, proxy=None) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            for domain in ("Page", "Network", "Runtime", "Log"):
                await page.tell(f"{domain}.enable")
            yield page
            listening.cancel()
    finally:
        kill_at_once(process.pid)
        process.wait()
        print(log.read_text(errors="replace"))  # noqa: T201  # shown when the test fails


async def _address(profile: Path) -> str:
    """The WebSocket of the browser's first page."""
    port_file = profile / "DevToolsActivePort"
    await until(lambda: port_file.exists() and len(port_file.read_text().splitlines()) > 1, within=SECONDS)
    port = port_file.read_text().splitlines()[0]
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=SECONDS) as http:
        targets: list[Json] = (await http.get(f"http://127.0.0.1:{port}/json")).json()
    return next(str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page")
