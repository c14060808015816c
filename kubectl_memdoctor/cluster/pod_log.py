"""A container's log as it comes: GET /api/v1/namespaces/NAMESPACE/pods/NAME/log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlencode

from kubectl_memdoctor.cluster.api import object_path
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.status import failure
from kubectl_memdoctor.cluster.transport import Answer, Transport
from kubectl_memdoctor.objects import PODS, Pod, Resource

POD_LOG = Resource("pods/log", "Pod", "v1", True, Pod)
"""As RBAC has it; never decoded as an object."""
REFUSAL_CHUNKS = 4
"""How much of an answer that is an error is read."""


class PodLogs:
    """Of one cluster, as one user. It takes the right to get pods/log."""

    def __init__(self, connection: Connection) -> None:
        self._transport = Transport(connection)

    @contextlib.contextmanager
    def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> Iterator[Iterator[bytes]]:
        """The chunks of it from its first byte until the container ends; all of it within `seconds` from now.

        The block and the chunks raise AccessError, ConnectionCut where another try may help.
        """
        # A node rotates the log of a container that runs; only who follows gets what was before.
        # https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/logs/container_log_manager.go
        query = urlencode({"container": container, "follow": "true"})
        target = f"{object_path(PODS, namespace, name)}/log?{query}"
        stream = self._transport.stream(target, time.monotonic() + seconds, {"Accept-Encoding": "identity"})
        with contextlib.closing(stream):
            if stream.status != 200:
                body = b"".join(islice(stream.chunks(), REFUSAL_CHUNKS))
                raise failure(Answer(stream.status, stream.headers, body), POD_LOG, name)
            yield stream.chunks()
