"""etcd, kube-apiserver and kubectl: which versions are wanted, and where they lie.

Versions are pinned by the go.mod files in go/. What `python -m tests.cluster.build` makes of them lies in a per-user
cache folder, one folder a version, so that a version is built once.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "kubectl-memdoctor")
PINNED = Path(__file__).parent / "go"
UNPINNED = CACHE / "modules"
"""go.mod files for the Kubernetes versions that are not pinned here."""
DEFAULT_KUBERNETES = "1.37"
KUBERNETES = "k8s.io/kubernetes"
ETCD = "go.etcd.io/etcd/server/v3"


@dataclass(frozen=True, slots=True)
class Programs:
    """One set that belongs together; the files need not be there yet."""

    etcd: Path
    kube_apiserver: Path
    kubectl: Path

    def missing(self) -> tuple[Path, ...]:
        return tuple(file for file in (self.kubectl, self.etcd, self.kube_apiserver) if not file.is_file())


@dataclass(frozen=True, slots=True)
class Module:
    """A go.mod of ours and the version (`1.37.2`) that it pins."""

    folder: Path
    version: str


def assets_folder() -> Path | None:
    """A folder that holds all three already, as controller-runtime's envtest has it."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    return Path(named) if named else None


def kubernetes_asked_for() -> str:
    """`1.37` (its newest patch) or `1.37.2`."""
    return (os.environ.get("K8S_VERSION") or DEFAULT_KUBERNETES).removeprefix("v")


def kubernetes_module() -> Module | None:
    """The go.mod for the version that was asked for; None when it has yet to be made."""
    asked = kubernetes_asked_for()
    folders = (*PINNED.glob("kubernetes-*"), *sorted(UNPINNED.glob("kubernetes-*"), key=_numbers, reverse=True))
    modules = (Module(folder, pinned_version(folder, KUBERNETES)) for folder in folders)
    return next((module for module in modules if asked in (module.version, minor(module.version))), None)


def minor(version: str) -> str:
    """`1.37.2` -> `1.37`"""
    return ".".join(version.split(".")[:2])


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def etcd_module() -> Module:
    folder = PINNED / "etcd"
    return Module(folder, pinned_version(folder, ETCD))


def pinned_version(folder: Path, module: str) -> str:
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} v(\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{folder}/go.mod does not require {module}")
    return found[1]


def programs() -> Programs | None:
    """The programs of the version that was asked for; None when nobody has built that version."""
    assets = assets_folder()
    if assets is not None:
        return Programs(assets / "etcd", assets / "kube-apiserver", assets / "kubectl")
    kubernetes = kubernetes_module()
    if kubernetes is None:
        return None
    folder = CACHE / f"kubernetes-{kubernetes.version}"
    return Programs(
        etcd=CACHE / f"etcd-{etcd_module().version}" / "etcd",
        kube_apiserver=folder / "kube-apiserver",
        kubectl=folder / "kubectl",
    )
