"""The kubelet's and the runtimes' words for a container that does not start."""

from __future__ import annotations

IMAGE_REASONS = frozenset(
    {"ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ImageInspectError"}
)
START_REASONS = frozenset({"CreateContainerError", "RunContainerError"})
CONFIG_REASON = "CreateContainerConfigError"
ENDED_AT_START = frozenset({"StartError", "ContainerCannotRun"})
"""containerd and CRI-O, docker."""
QUOTED_LETTERS = 200


def said(reason: str, message: str) -> str:
    """Both in one line, as far as they are given."""
    return short(f"{reason}: {message}".strip(": "))


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED_LETTERS else f"{line[:QUOTED_LETTERS]}..."
