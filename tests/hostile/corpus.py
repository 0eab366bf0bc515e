"""The hostile corpus: what is sent, and what may come of it, one case per line of `corpus/*.jsonl`.

Bytes are written as a string (sent in UTF-8, `{order}` standing for the id of an order that waits), as
`{"hex": …}`, as `{"repeat": …, "times": n}`, or as a list of these. In a list for a socket, `{"wait": seconds}` pauses
and `{"end": true}` says that nothing more comes.
`expect` lists what may happen: statuses (close codes for frames), `"open"`, or `"closed"` without an answer. `code` is
the problem's code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

FOLDER: Final = Path(__file__).with_name("corpus")
HOST: Final = "x"

Json: TypeAlias = dict[str, Any]


class Wait(NamedTuple):
    """A pause before the bytes that follow."""

    seconds: float


class End(NamedTuple):
    """Nothing more will be sent."""


Sent: TypeAlias = bytes | Wait | End


class Case(NamedTuple):
    """One line of the corpus, with what it sends as it goes over the wire; frames go after the handshake."""

    kind: str
    name: str
    sent: Sequence[Sent]
    expect: Sequence[int | str]
    code: str | None
    line: Json

    @property
    def is_slow(self) -> bool:
        return bool(self.line.get("slow"))


def load(kind: str, order_id: str) -> Iterator[Case]:
    """The cases of one file."""
    for text in (FOLDER / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        sent = list(_COMPOSERS[kind](line, order_id))
        yield Case(kind, line["name"], sent, line["expect"], line.get("code"), line)


def handshake(target: str) -> bytes:
    """A correct one."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def _compose_body(line: Json, order_id: str) -> Iterator[Sent]:
    body = _bytes(line["body"], order_id)
    path = line.get("path", "/api/orders/execute")
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _compose_request(line: Json, order_id: str) -> Iterator[Sent]:
    """A request with these headers, written as they are, and what else it needs to be one."""
    target, version = _bytes(line["target"], order_id), line.get("version", "HTTP/1.1").encode()
    head = [_bytes(line.get("method", "GET"), order_id) + b" " + target + b" " + version]
    host = line.get("host", HOST)
    if host is not None:
        head.append(b"Host: " + _bytes(host, order_id))
    for name, value in line.get("headers", ()):
        head.append(_bytes(name, order_id) + b": " + _bytes(value, order_id))
    if "many" in line:
        name, value, number = line["many"]
        head += [f"{name.format(i)}: {value}".encode() for i in range(number)]
    body = _bytes(line.get("body", ""), order_id)
    if body:
        head.append(b"Content-Length: %d" % len(body))
    yield b"\r\n".join(head) + b"\r\n\r\n" + body


def _compose_socket(line: Json, order_id: str) -> Iterator[Sent]:
    for part in line["send"]:
        yield from _action(part) or [_bytes(part, order_id)]


def _compose_frames(line: Json, order_id: str) -> Iterator[Sent]:
    for part in line["frames"]:
        if "raw" in part:
            yield _bytes(part["raw"], order_id)
        else:
            yield from _action(part) or [_frame(part, order_id) * part.get("times", 1)]


def _action(part: Any) -> list[Sent]:
    if isinstance(part, dict) and "wait" in part:
        return [Wait(part["wait"])]
    return [End()] if isinstance(part, dict) and "end" in part else []


def _bytes(spec: Any, order_id: str) -> bytes:
    if isinstance(spec, str):
        return spec.replace("{order}", order_id).encode()
    if isinstance(spec, list):
        return b"".join(_bytes(part, order_id) for part in spec)
    if "hex" in spec:
        return bytes.fromhex(spec["hex"])
    return _bytes(spec["repeat"], order_id) * int(spec["times"])


_OPCODES: Final = {"cont": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
_MASK: Final = b"\x37\xfa\x21\x3d"


def _frame(part: Json, order_id: str) -> bytes:
    """A frame of RFC 6455, section 5.2; what the line says otherwise is written as it says."""
    payload = _bytes(part.get("data", ""), order_id)
    opcode = _OPCODES.get(part["op"], part["op"])
    first = (part.get("fin", True) << 7) | (part.get("rsv", 0) << 4) | opcode
    is_masked = part.get("mask", True)
    length = part.get("length", len(payload))
    size = part.get("length_bytes", 1 if length < 126 else 2 if length < 2**16 else 8)
    short = length if size == 1 else {2: 126, 8: 127}[size]
    head = bytes([first, is_masked << 7 | short]) + (b"" if size == 1 else length.to_bytes(size, "big"))
    if not is_masked:
        return head + payload
    return head + _MASK + bytes(byte ^ _MASK[i % 4] for i, byte in enumerate(payload))


_COMPOSERS: Final = {
    "bodies": _compose_body,
    "requests": _compose_request,
    "sockets": _compose_socket,
    "handshakes": _compose_request,
    "frames": _compose_frames,
}
KINDS: Final = tuple(_COMPOSERS)
