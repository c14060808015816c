"""The programs of a node, in two generations: which versions, and where they lie.

`current` is Kubernetes, containerd and runc from the Go module proxy and the newest crun that Debian has;
`distribution` is what Debian 12 ships, with the oldest Kubernetes that is held to. `python -m node.build` makes or
fetches them. The control plane's versions are those of tests/cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.build import TOOLS
from cluster.programs import CACHE, ETCD, KUBERNETES, PINNED, Module, Programs, pinned_version

from .packages import package, package_version, relocated

HERE = Path(__file__).parent
CONTAINERD = "github.com/containerd/containerd/v2"
RUNC = "github.com/opencontainers/runc"
METRICS_SERVER = "sigs.k8s.io/metrics-server"
GENERATIONS = ("current", "distribution")
CONTAINERD_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr")


@dataclass(frozen=True, slots=True)
class Generation:
    """One set of programs that belongs together."""

    name: str
    kubernetes_module: Path
    containerd_version: str
    runc_version: str
    crun_version: str
    node: dict[str, Path]
    """Name (`containerd`, `runc`, ...) -> the file on this machine."""
    cni: Path
    """The folder of its CNI plugins."""

    @property
    def kubernetes_version(self) -> str:
        return pinned_version(self.kubernetes_module, KUBERNETES)

    @property
    def kubernetes(self) -> Path:
        return CACHE / f"kubernetes-{self.kubernetes_version}"

    @property
    def plane(self) -> Programs:
        """What a control plane is started with."""
        return Programs(
            etcd=CACHE / f"etcd-{pinned_version(PINNED / 'etcd', ETCD)}" / "etcd",
            kube_apiserver=self.kubernetes / "kube-apiserver",
            kubectl=self.kubernetes / "kubectl",
        )

    def missing(self) -> list[Path]:
        wanted = [self.plane.etcd, *(self.kubernetes / name for name in TOOLS), *self.node.values()]
        return [file for file in dict.fromkeys(wanted) if not file.is_file()]


def containerd_module() -> Module:
    return Module(HERE / "go/containerd", pinned_version(HERE / "go/containerd", CONTAINERD))


def runc_module() -> Module:
    return Module(HERE / "go/runc", pinned_version(HERE / "go/runc", RUNC))


def metrics_server_module() -> Module:
    return Module(HERE / "go/metrics-server", pinned_version(HERE / "go/metrics-server", METRICS_SERVER))


def metrics_server() -> Path:
    """The program, which need not be built yet; one for all generations."""
    return CACHE / f"metrics-server-{metrics_server_module().version}" / "metrics-server"


def prometheus() -> Path:
    """Debian's. Raises BuildError where the package is neither in the cache folder nor to be had."""
    return package("prometheus", "bookworm") / "usr/bin/prometheus"


def generation(name: str) -> Generation:
    """Raises BuildError where a package is neither in the cache folder nor to be had."""
    return {"current": _current, "distribution": _distribution}[name]()


def _current() -> Generation:
    kubernetes = PINNED / "kubernetes-1.37"
    containerd, runc = containerd_module(), runc_module()
    crun = package("crun", "sid", with_dependencies=True)
    built = CACHE / f"containerd-{containerd.version}"
    return Generation(
        name="current",
        kubernetes_module=kubernetes,
        containerd_version=containerd.version,
        runc_version=runc.version,
        crun_version=package_version(crun),
        node={
            **{name: built / name for name in CONTAINERD_PROGRAMS},
            "runc": CACHE / f"runc-{runc.version}" / "runc",
            "crun": relocated(crun, "usr/bin/crun"),
            "kubelet": CACHE / f"kubernetes-{pinned_version(kubernetes, KUBERNETES)}" / "kubelet",
        },
        cni=package("containernetworking-plugins", "sid") / "usr/lib/cni",
    )


def _distribution() -> Generation:
    kubernetes = PINNED / "kubernetes-1.30"
    containerd, runc = package("containerd", "bookworm"), package("runc", "bookworm")
    crun = package("crun", "bookworm", with_dependencies=True)
    return Generation(
        name="distribution",
        kubernetes_module=kubernetes,
        containerd_version=package_version(containerd),
        runc_version=package_version(runc),
        crun_version=package_version(crun),
        node={
            **{name: containerd / "usr/bin" / name for name in CONTAINERD_PROGRAMS},
            "runc": runc / "usr/sbin/runc",
            "crun": relocated(crun, "usr/bin/crun"),
            "kubelet": CACHE / f"kubernetes-{pinned_version(kubernetes, KUBERNETES)}" / "kubelet",
        },
        cni=package("containernetworking-plugins", "bookworm") / "usr/lib/cni",
    )
