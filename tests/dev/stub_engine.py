"""`order-engine run` with stand-ins for its commands, so that the supervisor is tested without the engine.

`stub_engine.py run FOLDER` is the supervisor; `migrate`, `worker` and `api --fd N` are what it starts.
STUB_MIGRATE is the migration's exit code; with STUB_STUBBORN the worker ignores SIGTERM.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


async def progress(database_url: str) -> None:
    assert database_url
    say("progress")
    await asyncio.Event().wait()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = str(os.getpid()).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def serve(fd: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await asyncio.start_server(answer, sock=socket.socket(fileno=fd))
    await stop.wait()
    say("api stopped")


async def work() -> None:
    stop = asyncio.Event()
    stubborn = "STUB_STUBBORN" in os.environ
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, (lambda: None) if stubborn else stop.set)
    await stop.wait()
    say("worker stopped")


def supervise(folder: Path) -> int:
    from app.dev.supervisor import run
    from app.settings import load_settings

    command = (sys.executable, "-m", "tests.dev.stub_engine")
    return asyncio.run(run(load_settings(), state_dir=folder, progress=progress, command=command))


def migrate() -> int:
    import psycopg
    import redis

    psycopg.connect(os.environ["DATABASE_URL"]).close()
    redis.Redis.from_url(os.environ["REDIS_URL"]).close()
    return int(os.environ.get("STUB_MIGRATE", "0"))


def main() -> None:
    match sys.argv[1:]:
        case ["run", folder]:
            sys.exit(supervise(Path(folder)))
        case ["migrate"]:
            sys.exit(migrate())
        case ["worker"]:
            asyncio.run(work())
        case ["api", "--fd", fd]:
            asyncio.run(serve(int(fd)))


if __name__ == "__main__":
    main()
