"""Reads FailedMount and FailedAttachVolume messages: which volume, which file, and whether there was no room for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_memdoctor.evidence.error_layers import readable_part


@dataclass(frozen=True, slots=True)
class MountFailure:
    """One mount error. `no_space` means ENOSPC while the kubelet filled the volume."""

    text: str
    volume: str | None
    """The volume's name in the pod's spec."""
    file: str | None
    """The last part of the path that could not be written: token, ca.crt ..."""
    no_space: bool
    plugin: str | None
    """The kubelet's plugin in the path: projected, secret, downward-api, empty-dir, configmap ..."""
    cause: str
    """A short name: no-space, not-found, forbidden, timeout, in-use, permission, driver, mount or unknown."""

    @property
    def is_tmpfs_full(self) -> bool:
        """No room in a volume that may be a tmpfs: secret, projected and downward API volumes always are.
        https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/projected/projected.go (wrappedVolumeSpec)
        Where the message does not say the plugin, the pod's spec must.
        """
        return self.no_space and self.plugin in (None, "projected", "secret", "downward-api", "empty-dir")


_VOLUME = (
    re.compile(r"\bfor volume [\"'“]([^\"'”]{1,253})[\"'”]", re.IGNORECASE),
    re.compile(r"\bunmounted volumes=\[([^\]\s]{1,253})", re.IGNORECASE),
    re.compile(r"kubernetes\.io~[a-z-]{1,40}/([^/\s:]{1,253})", re.IGNORECASE),
    re.compile(r"\bvolume [\"'“]([^\"'”]{1,253})[\"'”]", re.IGNORECASE),
)
_PLUGIN = re.compile(r"kubernetes\.io[~/](projected|secret|downward-api|empty-dir|configmap|csi|nfs|[a-z-]{2,40})")
_NO_SPACE = re.compile(r"\bno space left on device\b|\bENOSPC\b", re.IGNORECASE)
_PATH = re.compile(r"(/[^\s:\"']{1,4096})[\"']?: (?:no space left on device|ENOSPC)", re.IGNORECASE)

_CAUSES = (
    ("no-space", r"\bno space left on device\b|\bENOSPC\b|\bdisk quota exceeded\b"),
    ("not-found", r"\bnot found\b|\bnot registered\b|\breferences non-existent\b|\bdoes not exist\b|\bno such file\b"),
    ("forbidden", r"\bforbidden\b|\bunauthori[sz]ed\b|\baccess denied\b"),
    ("in-use", r"\bmulti-attach\b|\balready (?:used|attached|mounted|in use)\b|\bbusy\b"),
    ("permission", r"\bpermission denied\b|\boperation not permitted\b|\bread-only file system\b"),
    ("timeout", r"\btimed? ?out\b|\btimeout\b|\bdeadline ?exceeded\b"),
    ("driver", r"\bcsi\b|\bdriver\b|\battacher\b|\bprovision"),
    ("mount", r"\bmount failed\b|\bexit status\b|\bmounting (?:command|arguments)\b|\bmount\b"),
)
_CAUSE_WORDS = tuple((cause, re.compile(words, re.IGNORECASE)) for cause, words in _CAUSES)


def read_mount_error(message: str) -> MountFailure:
    """Reads one event's message; never fails."""
    text = readable_part(message)
    path = _PATH.search(text)
    plugin = _PLUGIN.search(text)
    return MountFailure(
        text=message,
        volume=next((found[1] for pattern in _VOLUME if (found := pattern.search(text))), None),
        file=path[1].rstrip("/").rpartition("/")[2] if path else None,
        no_space=bool(_NO_SPACE.search(text)),
        plugin=plugin[1] if plugin else None,
        cause=next((cause for cause, words in _CAUSE_WORDS if words.search(text)), "unknown"),
    )
