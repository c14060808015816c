"""What is known of the runtime that makes a pod's sandbox: from the node, the RuntimeClass's handler, and error words.

The API names the engine (containerd, CRI-O, Docker) and its version, hardly ever the OCI runtime below it.
"""

from __future__ import annotations

import re

from msgspec import Struct

from kubectl_memdoctor.evidence.runtime_errors import RuntimeFailure
from kubectl_memdoctor.objects import Node

RUNC, CRUN, UNKNOWN = "runc", "crun", "unknown"


class RuntimeKind(Struct, frozen=True):
    """Texts are empty where nothing is known. `since` <= version of the OCI runtime < `before`."""

    engine: str = ""
    """containerd, cri-o or docker."""
    engine_version: str = ""
    runtimes: tuple[str, ...] = (CRUN, RUNC)
    """OCI runtimes that it may be: runc, crun, kata, gvisor, youki, or unknown for a handler that says nothing."""
    handler: str = ""
    since: str = ""
    before: str = ""
    cgroup: str = ""
    """v1 or v2 where that is certain."""

    @property
    def runtime(self) -> str:
        """The OCI runtime's name, if it can only be one."""
        return self.runtimes[0] if len(self.runtimes) == 1 else ""


def runtime_kind(
    node: Node | None,
    handler: str | None,
    failures: tuple[RuntimeFailure, ...],
    cgroup_version: int | None = None,
) -> RuntimeKind:
    """Never fails: what cannot be read is not known. `cgroup_version` is what the node's kubelet says."""
    info = node.status.node_info if node else None
    found = _ENGINE.match(info.container_runtime_version) if info else None
    engine, version = (found[1].lower(), found[2]) if found else (_only_engine(failures), "")
    runtimes = _runtimes(engine, handler, failures)
    since, before = _era(failures) if len(runtimes) == 1 else ("", "")
    return RuntimeKind(
        engine=engine,
        engine_version=version,
        runtimes=runtimes,
        handler=handler or "",
        since=since,
        before=before,
        cgroup=(
            f"v{cgroup_version}"
            if cgroup_version
            else _cgroup(info.kernel_version if info else "", engine, version, failures)
        ),
    )


_ENGINE = re.compile(r"\s*(containerd|cri-o|docker)://v?(\S*)", re.IGNORECASE)


def _only_engine(failures: tuple[RuntimeFailure, ...]) -> str:
    named = {failure.engine for failure in failures if failure.engine}
    return named.pop() if len(named) == 1 else ""


_HANDLERS = tuple(
    (runtime, re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE))
    for runtime, words in (
        ("kata", r"kata[a-z]*"),
        ("gvisor", r"gvisor|runsc"),
        ("youki", r"youki"),
        (CRUN, r"crun"),
        (RUNC, r"runc"),
    )
)
"""As handlers are usually spelled: kata-qemu, io.containerd.runsc.v1, crun-wasm. A node may of course lie."""


def _runtimes(engine: str, handler: str | None, failures: tuple[RuntimeFailure, ...]) -> tuple[str, ...]:
    """The wording of an error is surest; a handler's name is what an administrator chose."""
    told = {failure.runtime for failure in failures if failure.runtime}
    if told:
        return tuple(sorted(told))
    if handler:
        return (next((runtime for runtime, words in _HANDLERS if words.search(handler)), UNKNOWN),)
    # https://docs.docker.com/reference/cli/dockerd/#configure-container-runtimes: runc unless configured otherwise.
    return (RUNC,) if engine == "docker" else (CRUN, RUNC)


def _era(failures: tuple[RuntimeFailure, ...]) -> tuple[str, str]:
    """Where all wordings agree; nothing where they contradict one another."""
    since = max((f.runtime_since for f in failures if f.runtime_since), key=version_key, default="")
    before = min((f.runtime_before for f in failures if f.runtime_before), key=version_key, default="")
    return ("", "") if since and before and version_key(since) >= version_key(before) else (since, before)


def _cgroup(kernel: str, engine: str, version: str, failures: tuple[RuntimeFailure, ...]) -> str:
    """What a distribution or a kubelet does by default is not certain: both can be configured."""
    for failure in failures:
        if _V1_FILES.search(failure.text):
            return "v1"
        if _V2_FILES.search(failure.text):
            return "v2"
    first = _FIRST_WITH_V2.get(engine, "")
    return "v1" if _is_older(kernel, "4.5") or _is_older(version, first) else ""


_V1_FILES = re.compile(r"\bmemory\.(?:limit|memsw|kmem)\w*|/cgroup/(?:memory|unified)/")
_V2_FILES = re.compile(r"\bmemory\.(?:max|high)\b|\bcgroup\.(?:subtree_control|controllers)\b")

_FIRST_WITH_V2 = {"containerd": "1.4.0-beta.0", "docker": "20.10.0-beta1"}
"""https://github.com/containerd/containerd/releases/tag/v1.4.0, https://docs.docker.com/engine/release-notes/20.10/;
the kernel has it since 4.5: https://docs.kernel.org/admin-guide/cgroup-v2.html"""


def _is_older(version: str, first: str) -> bool:
    return bool(first) and is_version(version) and version_key(version) < version_key(first)


_VERSION = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:[-~.]?(?:rc|beta|alpha)[-.]?(\d{1,9}))?")
_RELEASED = 10**9


def is_version(text: str) -> bool:
    return _VERSION.match(text) is not None


def version_key(text: str) -> tuple[int, int, int, int]:
    """Sorts versions: `1.0.0-rc9` before `1.0.0-rc10` before `1.0.0`. Packagers' suffixes (`-k3s1`) do not count."""
    found = _VERSION.match(text)
    if found is None:
        return 0, 0, 0, 0
    major, minor, patch, candidate = (int(part) if part else 0 for part in found.groups())
    return major, minor, patch, candidate if found[4] else _RELEASED


def spans_meet(since: str, before: str, other_since: str, other_before: str) -> bool:
    """Whether two version spans (from `since` on, up to `before`; "" for no end) have a version in common."""
    return _starts_before(since, other_before) and _starts_before(other_since, before)


def _starts_before(since: str, end: str) -> bool:
    return not since or not end or version_key(since) < version_key(end)
