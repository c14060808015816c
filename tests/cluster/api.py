"""The least of a client for the API server: JSON objects in and out, by their kind."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import urllib3

Json = dict[str, Any]

RESOURCES = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "ControllerRevision": "controllerrevisions",
    "CronJob": "cronjobs",
    "DaemonSet": "daemonsets",
    "Deployment": "deployments",
    "Event": "events",
    "Job": "jobs",
    "LimitRange": "limitranges",
    "Namespace": "namespaces",
    "Node": "nodes",
    "Pod": "pods",
    "ReplicaSet": "replicasets",
    "ReplicationController": "replicationcontrollers",
    "ResourceQuota": "resourcequotas",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "RuntimeClass": "runtimeclasses",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}


class Refused(Exception):
    """The API server said no; `message` is what it said."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Api:
    """One user's way to one API server; safe for several threads."""

    def __init__(self, server: str, token: str, authority_file: str) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {token}"}
        context = ssl.create_default_context(cafile=authority_file)
        # The tests' CA has no key identifiers, as many clusters' CAs; newer Pythons refuse those by default.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        self._pool = urllib3.PoolManager(maxsize=16, block=True, ssl_context=context, retries=False)

    def create(self, body: Json) -> Json:
        """The object as the server keeps it after admission. Raises Refused."""
        metadata = body["metadata"]
        return self.call("POST", path(body["apiVersion"], body["kind"], metadata.get("namespace")), body)

    def write_status(self, created: Json, status: Json) -> Json:
        """The object with the given parts of its status, written as its controller or kubelet writes it."""
        return self.call(
            "PATCH",
            f"{path_of(created)}/status",
            {"status": status},
            content_type="application/merge-patch+json",
        )

    def read(self, created: Json) -> Json:
        return self.call("GET", path_of(created))

    def items(self, api_version: str, kind: str, namespace: str | None = None) -> list[Json]:
        """All objects of a kind, each with its apiVersion and kind, which lists leave out."""
        answer = self.call("GET", path(api_version, kind, namespace))
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer["items"]]

    def delete(self, created: Json) -> None:
        self.call("DELETE", path_of(created), {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})

    def raw(self, target: str, headers: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        """The server's answer to a GET as it is, whatever it is."""
        return self._pool.request("GET", self._server + target, headers={**self._headers, **(headers or {})})

    def call(self, method: str, target: str, body: Json | None = None, content_type: str = "application/json") -> Json:
        response = self._pool.request(
            method,
            self._server + target,
            body=None if body is None else json.dumps(body),
            headers={**self._headers, "Content-Type": content_type},
        )
        answer: Json = response.json()
        if response.status >= 400:
            raise Refused(str(answer.get("message")))
        return answer


def path(api_version: str, kind: str, namespace: str | None = None, name: str = "") -> str:
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{RESOURCES[kind]}" + (f"/{name}" if name else "")


def path_of(created: Json) -> str:
    metadata = created["metadata"]
    return path(created["apiVersion"], created["kind"], metadata.get("namespace"), metadata["name"])
