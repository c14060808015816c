"""Reads FailedMount messages: which volume, and which of its files found no room."""

from __future__ import annotations

import re

from msgspec import Struct

from kubectl_memdoctor.evidence.error_layers import readable_part


class MountFailure(Struct, frozen=True):
    volume: str | None
    """The volume's name in the pod's spec."""
    full_file: str | None
    """The file inside the volume that found no room: token, ca.crt ... None when room was not what it lacked."""
    plugin: str | None
    """The kubelet's plugin, where the message holds its path: projected, secret, downward-api, empty-dir, configmap."""

    @property
    def is_tmpfs_full(self) -> bool:
        """No room in a volume that may be a tmpfs: secret, projected and downward API volumes always are.
        https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/projected/projected.go (wrappedVolumeSpec)
        Where the message does not say the plugin, the pod's spec must.
        """
        return self.full_file is not None and self.plugin in (None, "projected", "secret", "downward-api", "empty-dir")


_VOLUME = (
    re.compile(r"\(spec\.Name: [\"']([^\"']{1,253})[\"']\)"),
    re.compile(r"\bfor volume [\"'“]([^\"'”]{1,253})[\"'”]", re.IGNORECASE),
    re.compile(r"\bunmounted volumes=\[([^\]\s]{1,253})", re.IGNORECASE),
    re.compile(r"kubernetes\.io[~/][a-z-]{1,40}/([^/\s:]{1,253})", re.IGNORECASE),
    re.compile(r"\bvolume [\"'“]([^\"'”]{1,253})[\"'”]", re.IGNORECASE),
)
_PLUGIN = re.compile(r"kubernetes\.io[~/]([a-z-]{2,40})/")
_FULL = re.compile(r"(?<![^\s\"'=(:.])(/[^\s:\"']{1,4096}+)[\"']?: (?:no space left on device|ENOSPC)", re.IGNORECASE)
_INSIDE = re.compile(r"/volumes/kubernetes\.io~[a-z-]{1,40}/[^/]{1,253}/(?=[^/])")
"""What lies above such a path is on the node's disk: only below the volume's own directory is its tmpfs."""


def read_mount_error(message: str) -> MountFailure:
    """Reads one event's message; never fails."""
    text = readable_part(message)
    plugin = _PLUGIN.search(text)
    return MountFailure(
        volume=next((found[1] for pattern in _VOLUME if (found := pattern.search(text))), None),
        full_file=_full_file(text),
        plugin=plugin[1] if plugin else None,
    )


def _full_file(text: str) -> str | None:
    full = _FULL.search(text)
    if full is None or ("/pods/" in full[1] and not _INSIDE.search(full[1])):
        return None
    return full[1].rstrip("/").rpartition("/")[2]
