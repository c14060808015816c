"""Scripts run in a machine through its ports, with exit codes, outputs of any length and time-outs.

A port takes `SECONDS SCRIPT BYTES`, SCRIPT being base64, then BYTES of standard input; it gives `CODE OUT ERR`, then
OUT bytes of stdout and ERR bytes of stderr. CODE is `late` where the script was killed since its time was over.
The other end is init/answer.
"""

from __future__ import annotations

import base64
import contextlib
import math
import queue
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

ANSWER_SECONDS = 60.0
"""After a script's time is over, an answer must have come by then."""
RECEIVED_AT_ONCE = 1 << 20


class Gone(Exception):
    """The machine ended, or does not answer any more."""


class Shell:
    """As many scripts at once as there are ports; further callers wait."""

    def __init__(self, ports: Sequence[socket.socket]) -> None:
        self._ports: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        for port in ports:
            self._ports.put(port)

    def ask(self, script: str, stdin: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
        """Raises subprocess.TimeoutExpired after `seconds`, when all that the script started is killed, and Gone."""
        with self._port() as port:
            deadline = time.monotonic() + seconds + ANSWER_SECONDS
            request = b"%d %s %d\n" % (math.ceil(seconds), base64.b64encode(script.encode()), len(stdin))
            _send(port, request + stdin, deadline)
            code, out, err = _line(port, deadline).split()
            stdout, stderr = (_receive(port, int(length), deadline) for length in (out, err))
        if code == b"late":
            raise subprocess.TimeoutExpired(script, seconds, stdout, stderr)
        return subprocess.CompletedProcess(script, int(code), stdout, stderr)

    @contextlib.contextmanager
    def _port(self) -> Iterator[socket.socket]:
        """A port is only given back where its answer was read to the end."""
        port = self._ports.get()
        try:
            yield port
        except BaseException:
            port.close()
            self._ports.put(port)
            raise
        self._ports.put(port)


def _send(port: socket.socket, whole: bytes, deadline: float) -> None:
    with _gone_when_it_fails(port, deadline):
        port.sendall(whole)


def _line(port: socket.socket, deadline: float) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += _receive(port, 1, deadline)
    return line


def _receive(port: socket.socket, length: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < length:
        with _gone_when_it_fails(port, deadline):
            part = port.recv(min(length - len(received), RECEIVED_AT_ONCE))
        if not part:
            raise Gone("the machine ended")
        received += part
    return bytes(received)


@contextlib.contextmanager
def _gone_when_it_fails(port: socket.socket, deadline: float) -> Iterator[None]:
    try:
        port.settimeout(max(deadline - time.monotonic(), 0.001))
        yield
    except TimeoutError:
        raise Gone("the machine does not answer") from None
    except OSError as error:
        raise Gone(f"the machine ended: {error}") from None
