"""Pods for a real node: the least that one needs, and how they are waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from cluster.api import Api, Json, Refused, path_of

from .images import APP

SECONDS = 300.0
"""Far more than anything here takes: the machine may be busy, and a node emulated."""
SLEEP = ("sleep", "100000")


def pod(
    name: str,
    *,
    node: str,
    memory: str | None = "64Mi",
    runtime_class: str = "runc",
    token: bool = False,
    command: Sequence[str] = SLEEP,
) -> Json:
    """One container with a memory limit, Guaranteed where it has one; with or without a service-account token."""
    limits = {"memory": memory, "cpu": "10m"} if memory else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "runtimeClassName": runtime_class,
            "automountServiceAccountToken": token,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": APP, "command": list(command), "resources": {"limits": limits}}],
        },
    }


def is_running(found: Json) -> bool:
    statuses = found["status"].get("containerStatuses", [])
    return bool(statuses) and all(status["ready"] for status in statuses)


def wait_for(api: Api, created: Json, met: Callable[[Json], bool]) -> Json:
    """The object once it is as wanted. Raises AssertionError."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = api.read(created)
        if met(found):
            return found
        assert time.monotonic() < deadline, f"{created['metadata']['name']}: {found['status']}"
        time.sleep(0.2)


def wait_for_event(api: Api, created: Json, reason: str, containing: str = "") -> str:
    """The message of the pod's newest event of that reason that contains the text. Raises AssertionError."""
    deadline = time.monotonic() + SECONDS
    while True:
        events = [
            event
            for event in api.items("v1", "Event", created["metadata"]["namespace"])
            if event["involvedObject"].get("uid") == created["metadata"]["uid"]
        ]
        for event in reversed(events):
            if event["reason"] == reason and containing in event["message"]:
                return str(event["message"])
        said = [(event["reason"], event["message"]) for event in events]
        assert time.monotonic() < deadline, f"{created['metadata']['name']}: no {reason} in {said}"
        time.sleep(0.2)


def delete(api: Api, *created: Json) -> None:
    """Returns when the kubelet has removed them."""
    for each in created:
        api.delete(each)
    deadline = time.monotonic() + SECONDS
    for each in created:
        while _is_there(api, each):
            assert time.monotonic() < deadline, f"{path_of(each)} is still there"
            time.sleep(0.2)


def _is_there(api: Api, created: Json) -> bool:
    try:
        api.read(created)
    except Refused:
        return False
    return True
