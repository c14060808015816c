"""Reads the error texts of kubelet, container runtimes and OCI runtimes: which cause they name, and what that proves.

The text alone never decides what the pod's limit can: the same opaque words with an ample limit are not memory.
"""

from __future__ import annotations

import re

from msgspec import Struct

from kubectl_memdoctor.evidence.error_layers import readable_part, unwrap
from kubectl_memdoctor.evidence.runtime_causes import Proof, find_cause

__all__ = ["Proof", "RuntimeFailure", "normalise", "read_runtime_error"]


class RuntimeFailure(Struct, frozen=True):
    """One error text, read. Versions are those of the OCI runtime whose wording it is."""

    text: str
    innermost: str
    """The innermost cause, quotes unescaped, ids as they are."""
    cause: str
    """A stable name: oom-killed, memory-limit-below-runtime-minimum, init-died, network ... unknown."""
    proof: Proof
    because: str
    """One short clause: why the text proves that."""
    runtime: str | None = None
    """runc, crun, kata, gvisor or youki, where the wording gives it away."""
    runtime_since: str | None = None
    """The first version that prints this wording."""
    runtime_before: str | None = None
    """The first version that no longer prints it."""
    engine: str | None = None
    """containerd, cri-o or docker."""
    grpc_code: str | None = None
    layers: tuple[str, ...] = ()
    stated_minimum_bytes: int | None = None
    """The minimum that the runtime itself states in the text."""
    stated_scope: str | None = None
    """What that minimum holds for: sandbox or container."""


def read_runtime_error(message: str) -> RuntimeFailure:
    """Reads one event's or container status' message; never fails, and never takes long (see error_layers)."""
    unwrapped = unwrap(message)
    chain, words = unwrapped.chain, unwrapped.words
    cause = find_cause(chain, words)
    runtime = _outermost(_RUNTIME_WORDS, words) or _outermost(_RUNTIME_PROGRAMS, chain)
    minimum, scope = _stated_minimum(chain)
    return RuntimeFailure(
        text=message,
        innermost=unwrapped.innermost,
        cause=cause.slug,
        proof=cause.proof,
        because=cause.because,
        runtime=runtime,
        runtime_since=_since(chain) if runtime else None,
        runtime_before=_oldest(readable_part(message), chain) if runtime else None,
        engine=_outermost(_ENGINE_WORDS, words) or _outermost(_ENGINE_PATHS, chain),
        grpc_code=unwrapped.grpc_code,
        layers=unwrapped.layers,
        stated_minimum_bytes=minimum,
        stated_scope=scope,
    )


def _words(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.IGNORECASE)


_RUNTIME_WORDS = (
    (
        "kata",
        _words(
            r"\bkata\b|\bkata[-_]|\bcheck if grpc server is working\b|\bQMP\b|\bvirtiofsd\b",
            r"\bcannot set up guest memory\b",
            r"\b(?:qemu|firecracker|cloud-hypervisor|hypervisor)\b",
        ),
    ),
    (
        "gvisor",
        _words(r"\brunsc\b|\bgvisor\b|\bcannot read client sync file\b|\bgofer\b|\burpc method\b|\bsentry\b"),
    ),
    ("youki", _words(r"\byouki\b|\bchannel connection broken\b")),
    (
        "crun",
        _words(
            # https://github.com/containers/crun/tree/1.21/src/libcrun: names in backticks, strerror() with a capital
            r"\bcrun: |\bsd-bus call\b",
            r"\bthe memory limit could be too low\b",
            r"\bfrom the init process\b",
            r"\b(?:read from|write to|read|write) (?:the )?sync socket\b",
            r"\bcreating cgroup directory `|\bwriting file ['`]",
            r"\b(?:open|openat2?|create|write|read|mount|stat|executable file|mkdir|link|chdir to) `",
            r"\b(?:unlink|symlink|mount cgroup|readlink|fsopen|open_tree|move_mount|setns|unshare|keyctl) `",
        ),
    ),
    (
        "runc",
        _words(
            # https://github.com/opencontainers/runc/tree/v1.4.0/libcontainer
            r"\brunc (?:create|start|run|exec|init|did)\b",
            r"\bcontainer init was OOM-killed\b",
            r"\b(?:container|process|rootfs|standard_init|init|setns_init|factory|state)_linux\.go\b",
            r"\bunable to start container process\b",
            r"\bstarting container process caused\b",
            r"\berror during container init\b",
            r"\bunable to apply cgroup configuration\b",
            r"\b(?:read|write) init-[pc]\b",
            r"\bprocHooks\b|\bprocReady\b",
            r"\bfinal child'?s pid from pipe\b",
            r"\bbootstrap data to pipe\b",
            r"\bunable to set memory limit to \d",
            r"\brejecting memory(?:\+swap)? limit\b",
            r"\bcgroupsPath to be of format\b|\bcannot start a container that has stopped\b",
        ),
    ),
)

_RUNTIME_PROGRAMS = tuple(
    (name, re.compile(rf"(?:^|[\s/]){program} did not terminate", re.IGNORECASE))
    for name, program in (
        ("runc", "runc"),
        ("crun", "crun"),
        ("gvisor", "runsc"),
        ("youki", "youki"),
        ("kata", "kata-runtime"),
    )
)
"""containerd and docker call a runtime that died by its file's name."""

_ENGINE_WORDS = (
    (
        "cri-o",
        _words(
            r"\bset memory limit \S{1,40} too low",
            r"\bcontainer create failed\b",
            r"\bpod network sandbox\b|\bto CNI network\b|\bin pod sandbox k8s\b",
            r"\bconmon\b|\bin CRI-O\b|\bruntime list map\b",
            r"\bpod sandbox with name\b|\breserving (?:pod|ctr|container) name\b",
            r"\bprobably exited\b|\bpid from init pipe\b",
        ),
    ),
    (
        "containerd",
        _words(
            r"\bcontainerd (?:task|container)\b|\bshim task\b|\bcreate shim\b|\bstart shim\b",
            r"\bset ?up network for sandbox\b|\bnetwork namespace for sandbox\b",
            r"\bget sandbox image\b|\breserve sandbox name\b|\bsandbox root directory\b",
            r"\bstart sandbox (?:container task )?\"|\bstart sandbox container: ",
            r"\bruntime for sandbox\b|\bget sandbox runtime\b",
            r"\bcannot start a stopped process\b",
        ),
    ),
    (
        "docker",
        _words(
            r"\berror response from daemon\b|\bdocker daemon\b|\bminimum memory limit allowed is\b",
            r"\b(?:start|create a|set up) sandbox(?: container)?\b[^:]{0,200}\bfor pod\b",
            r"\bnetworkplugin\b|\bRuntimeHandler \"",
        ),
    ),
)

_ENGINE_PATHS = (
    ("cri-o", _words(r"[/:]crio[-:/.]")),
    ("containerd", _words(r"/containerd/|[/:]cri-containerd[-:]")),
    ("docker", _words(r"/docker[-/.]")),
)
"""Only where no engine's own words are: a volume may lie anywhere."""

_SINCE = (
    ("1.2.0", _words(r"\bprocReady not received\b|\brejecting memory(?:\+swap)? limit\b")),
    (
        "1.1.0",
        _words(
            r"\brunc (?:create|start|run) failed:|\brunc (?:create|start|run) failed\b",
            r"\bunable to start container process\b|\berror during container init\b",
            r"\bunable to apply cgroup configuration\b|\bcan't get final child's pid\b|\bcan't copy bootstrap data\b",
        ),
    ),
    ("1.0.0", _words(r"\bunable to set memory limit to \d")),
    ("1.0.0-rc94", _words(r"\bcontainer init was OOM-killed\b")),
    ("1.0.0-rc91", _words(r"\b\w{1,40}_linux\.go\b.{0,200}\bcaused: ")),
    ("0.19", _words(r"\bthe memory limit could be too low\b")),
)
"""Newest first. The wording's first version, read in the sources of runc 1.0.0-rc9 to 1.4.0 and of crun."""

_OLD_FORM = _words(r"\b\w{1,40}_linux\.go:\d|\bstarting container process caused\b|\bgetting the final child's pid\b")
"""runc 1.1.0 dropped file names and "caused": https://github.com/opencontainers/runc/releases/tag/v1.1.0"""

_QUOTED_FORM = re.compile(r'_linux\.go\b[^"]{0,300}\bcaused \\*"', re.IGNORECASE)


def _outermost(names: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str | None:
    """Who wrapped the others: docker hands on containerd's words, and a hook may name any program."""
    found = [(match.start(), name) for name, words in names if (match := words.search(text))]
    return min(found)[1] if found else None


def _since(chain: str) -> str | None:
    return next((version for version, words in _SINCE if words.search(chain)), None)


def _oldest(text: str, chain: str) -> str | None:
    """Quoted causes: https://github.com/opencontainers/runc/commit/7b8d1ad6cb (first in 1.0.0-rc91: unquoted)."""
    if _QUOTED_FORM.search(text):
        return "1.0.0-rc91"
    return "1.1.0" if _OLD_FORM.search(chain) else None


_CRIO_MINIMUM = re.compile(r"\b(pod )?set memory limit \S{1,40} too low;? should be at least (\d{1,18})", re.IGNORECASE)
_DOCKER_MINIMUM = re.compile(r"\bminimum memory limit allowed is (\d{1,9}) ?([KMG]?)i?B", re.IGNORECASE)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def _stated_minimum(chain: str) -> tuple[int | None, str | None]:
    """Docker's MB are MiB: https://github.com/moby/moby/blob/v20.10.0/daemon/daemon_unix.go (linuxMinMemory)."""
    crio = _CRIO_MINIMUM.search(chain)
    if crio:
        return int(crio[2]), "sandbox" if crio[1] else "container"
    docker = _DOCKER_MINIMUM.search(chain)
    if docker:
        return int(docker[1]) * _UNITS[docker[2].upper()], "container"
    return None, None


_COMBINED = re.compile(r"\s*\(combined from similar events\):\s*", re.IGNORECASE)
_IDS = re.compile(
    r"(?P<uid>[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}(?P<attempt>_\d{1,9})?)"
    r"|(?P<id>(?<![0-9a-z])[0-9a-f]{12,128}(?![0-9a-z]))"
    r"|(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[0-9.,]*(?:Z|[+-]\d\d:?\d\d)?"
    # https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/util/atomic_writer.go (newTimestampDir)
    r"|(?<=\.\.)\d{4}(?:_\d\d){5}\.\d{1,12})"
    r"|(?P<before>/proc/|/fd/|\bpids? |\bpid=|\battempt |\bnsexec(?:-\d)?\[)\d{1,12}"
    # https://github.com/kubernetes/apiserver/blob/v0.34.0/pkg/storage/names/generate.go (GenerateName)
    r"|(?P<suffix>(?<=-)[bcdfghjklmnpqrstvwxz2456789]{5}(?=\"))"
    r"|(?P<number>\d{5,})",
    re.IGNORECASE,
)


def normalise(message: str) -> str:
    """`message` with ids, uids, times, pids, long numbers and generated endings of quoted names replaced, so that
    repetitions of one failure are equal."""
    text = _COMBINED.sub("", readable_part(message), count=1) if "ombined" in message[:64] else readable_part(message)
    return _IDS.sub(_placeholder, text).strip()


def _placeholder(found: re.Match[str]) -> str:
    if found["uid"]:
        return "<uid>_<n>" if found["attempt"] else "<uid>"
    if found["before"]:
        return f"{found['before']}<n>"
    kind = found.lastgroup
    return f"<{kind}>" if kind in ("id", "suffix") else "<time>" if kind == "time" else "<n>"
