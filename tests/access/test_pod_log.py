"""A container's log as it comes, and what is said where it does not."""

from __future__ import annotations

import pytest

from kubectl_memdoctor.cluster.pod_log import PodLogs
from kubectl_memdoctor.cluster.source import AccessError, NotFound, Unreadable
from kubectl_memdoctor.cluster.transport import ConnectionCut

from .faulty_server import HANG_UP, Reply, Script, faulty_server, status

SECONDS = 60.0
"""For what must not depend on time."""
LOG = b"".join(b"[%d.0] a line\n" % number for number in range(20_000))
TEXT = (("Content-Type", "text/plain"),)
NAME = "memdoctor-debug-x7k2p"


def read(reply: Reply, seconds: float = SECONDS) -> bytes:
    script = Script([reply])
    with (
        faulty_server(script) as connection,
        PodLogs(connection).follow("shop", NAME, "debugger", seconds=seconds) as chunks,
    ):
        found = b"".join(chunks)
    (asked,) = script.asked
    assert asked.path == f"/api/v1/namespaces/shop/pods/{NAME}/log"
    assert asked.query == {"container": "debugger", "follow": "true"}
    return found


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_log(framing: str) -> None:
    assert read(Reply(LOG, headers=TEXT, framing=framing)) == LOG


@pytest.mark.parametrize("reply", [HANG_UP, Reply(LOG, headers=TEXT, framing="chunked", cut=100_000)])
def test_a_connection_that_breaks(reply: Reply) -> None:
    with pytest.raises(ConnectionCut):
        read(reply)


def test_a_log_that_takes_too_long() -> None:
    with pytest.raises(AccessError):
        read(Reply(LOG, headers=TEXT, framing="chunked", drip_seconds=0.02), seconds=0.3)


@pytest.mark.parametrize(
    ("code", "reason", "message", "kind"),
    [
        (403, "Forbidden", f'pods "{NAME}" is forbidden: User "jane" cannot get resource "pods/log"', Unreadable),
        (400, "BadRequest", 'container "debugger" is waiting to start: ContainerCreating', AccessError),
        (500, "InternalError", "dial tcp 10.0.0.7:10250: connect: connection refused", Unreadable),
        (404, "NotFound", f'pods "{NAME}" not found', NotFound),
    ],
)
def test_refusals(code: int, reason: str, message: str, kind: type[AccessError]) -> None:
    with pytest.raises(kind) as caught:
        read(status(code, reason, message, details={"name": NAME}))
    assert str(caught.value) == f"Error from server ({reason}): {message}"
    assert not isinstance(caught.value, ConnectionCut)
