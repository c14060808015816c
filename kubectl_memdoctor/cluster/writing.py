"""Creates, applies and deletes: the only requests that change a cluster. `calibrate` sends them, and --debug-pod.

Names are the caller's own, never the server's: so a request whose answer was lost can be sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from kubectl_memdoctor.cluster.api import go_duration, object_path
from kubectl_memdoctor.cluster.connection import Connection
from kubectl_memdoctor.cluster.retries import Answered, answered
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.cluster.status import failure, foreign, read_status
from kubectl_memdoctor.cluster.transport import Request, Transport
from kubectl_memdoctor.objects import Object, Resource, decode

FIELD_MANAGER = "kubectl-memdoctor"

Manifest = Mapping[str, Any]
"""An object as JSON has it."""


class Refusal(AccessError):
    """The server answered, and did nothing."""


class Conflict(Refusal):
    """The object was changed since it was read."""


class ApiWriter:
    """Writes to one cluster as one user. Every method may raise AccessError, in the server's and kubectl's words, and
    Refusal where it is certain that nothing was done."""

    def __init__(self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._connection = connection
        self._transport = Transport(connection)
        self._sleep = sleep

    def create(self, resource: Resource[Object], manifest: Manifest, *, dry_run: bool = False) -> Object:
        """The object as the server keeps it after admission; with `dry_run` as it would keep it."""
        name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace")
        query = {"dryRun": "All" if dry_run else "", "fieldManager": FIELD_MANAGER}
        found = self._send("POST", object_path(resource, namespace, None), query, manifest)
        status = read_status(found.answer) if found.answer.status == 409 else None
        if status is not None and status.reason == "AlreadyExists" and found.attempts > 1:
            # The name is new with this run, so an earlier attempt made it.
            found = self._send("GET", object_path(resource, namespace, name), {})
        return self._decoded(found, resource, name, "post")

    def apply(self, resource: Resource[Object], manifest: Manifest) -> Object:
        """By server-side apply, which creates what is not there. Raises Conflict where metadata.resourceVersion is old.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/
        """
        name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace")
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        content_type = "application/apply-patch+yaml"
        found = self._send("PATCH", object_path(resource, namespace, name), query, manifest, content_type)
        if found.answer.status == 409:
            raise Conflict(str(failure(found.answer, resource, name, verb="patch")))
        return self._decoded(found, resource, name, "patch")

    def delete(self, resource: Resource[Any], namespace: str | None, name: str) -> None:
        """With all that it owns, in the background. It may be gone already, or be on its way."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        answer = self._send("DELETE", object_path(resource, namespace, name), {}, options).answer
        status = read_status(answer)
        # Conflict: a namespace that is being deleted already.
        if answer.status >= 300 and (status is None or status.reason not in ("NotFound", "Conflict")):
            raise failure(answer, resource, name, verb="delete")

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Answered:
        limit = self._connection.request_timeout
        given = {**query, "timeout": go_duration(limit) if limit else ""}
        encoded = urlencode(sorted((key, value) for key, value in given.items() if value))
        target = f"{path}?{encoded}" if encoded else path
        request = Request(method, target, msgspec.json.encode(body) if body else b"", content_type)
        return answered(lambda deadline: self._transport.send(request, deadline), limit, self._sleep)

    def _decoded(self, found: Answered, resource: Resource[Object], name: str, verb: str) -> Object:
        if found.answer.status >= 400:
            error = failure(found.answer, resource, name, verb=verb)
            raise error if found.answer.status >= 500 else Refusal(str(error))
        try:
            return decode(found.answer.body, resource.type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise foreign(found.answer, self._connection.server) from None
