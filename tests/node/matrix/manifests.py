"""Pods as the matrix makes them."""

from __future__ import annotations

from typing import Any

from cluster.api import Json

IMAGE = "registry.example/base/app:1"
SLEEPING = 'trap "exit 0" TERM; sleep 100000 & wait'
DEAF = 'trap "" TERM; while :; do sleep 100000; done'
"""Only SIGKILL ends it."""


def container(name: str, limit: str | None, script: str = SLEEPING, *, request: str | None = None, **more: Any) -> Json:
    """A container that runs `script` in a shell, and asks for little CPU: many of them share a small node."""
    resources: Json = {"requests": {"cpu": "5m"}}
    if limit is not None:
        resources["limits"] = {"memory": limit}
    if request is not None:
        resources["requests"]["memory"] = request
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], "resources": resources, **more}


def sidecar(name: str, limit: str | None) -> Json:
    return {**container(name, limit), "restartPolicy": "Always"}


def spec(*containers: Json, token: bool = False, grace_seconds: int = 2, **more: Any) -> Json:
    """A pod's spec; `token`: with the volume of its service account's token."""
    mounting = {} if token else {"automountServiceAccountToken": False}
    return {"containers": list(containers), "terminationGracePeriodSeconds": grace_seconds, **mounting, **more}


def memory_limit_range(name: str, default: str) -> Json:
    limits = [{"type": "Container", "default": {"memory": default}, "defaultRequest": {"memory": default}}]
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": {"limits": limits}}


def runtime_class(name: str, handler: str, overhead: str | None = None) -> Json:
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": handler,
        **({"overhead": {"podFixed": {"memory": overhead}}} if overhead else {}),
    }
