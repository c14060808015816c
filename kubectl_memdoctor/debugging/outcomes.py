"""How a debug pod fares: its container has started, or something is in the way. Pure."""

from __future__ import annotations

from kubectl_memdoctor.debugging.manifests import CONTAINER
from kubectl_memdoctor.evidence.runtime_errors import read_runtime_error
from kubectl_memdoctor.objects import ContainerState, Pod
from kubectl_memdoctor.temporary.container_states import (
    CONFIG_REASON,
    ENDED_AT_START,
    IMAGE_REASONS,
    START_REASONS,
    said,
)


def has_started(pod: Pod) -> bool:
    """Whether there may be a log."""
    state = _state(pod)
    ended = state.terminated
    return state.running is not None or (ended is not None and ended.reason not in ENDED_AT_START)


def obstacle(pod: Pod) -> str:
    """Why its container will not start; empty while it may."""
    state = _state(pod)
    waiting, ended = state.waiting, state.terminated
    if waiting is not None and waiting.reason in IMAGE_REASONS:
        return f"{said(waiting.reason, waiting.message)} (--image names another, with a shell, that the node has)"
    if waiting is not None and waiting.reason in (*START_REASONS, CONFIG_REASON):
        return said(waiting.reason, _innermost(waiting.message))
    if ended is not None and ended.reason in ENDED_AT_START:
        return said(ended.reason, _innermost(ended.message))
    if pod.status.phase == "Failed" and ended is None:
        return f"the node ended it: {said(pod.status.reason, pod.status.message)}"
    return ""


def waiting_for(pod: Pod) -> str:
    """What it waits for, as far as its status says."""
    waiting = _state(pod).waiting
    return said(waiting.reason, waiting.message) if waiting else ""


def _innermost(message: str) -> str:
    """Of a runtime's error, whose layers are long."""
    failure = read_runtime_error(message)
    return failure.innermost or failure.text


def _state(pod: Pod) -> ContainerState:
    """A webhook may have added other containers."""
    found = (entry.state for entry in pod.status.container_statuses if entry.name == CONTAINER)
    return next(found, ContainerState())
