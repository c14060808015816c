"""Builds the programs of the test cluster from the Go module proxy: `python -m tests.cluster.build`.

Builds only what the cache folder does not hold yet: five to ten minutes on two cores the first time. K8S_VERSION picks
another Kubernetes; a folder in KUBEBUILDER_ASSETS is used as it is. Without Go, or elsewhere than on Linux, it says so
in one line; with MEMDOCTOR_NO_SKIP set that is a failure.

`python -m tests.cluster.build --pin 1.37.3` writes the go.mod and go.sum of a version into this folder anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

from .go_programs import BuildError, alone, go_build, run_go
from .programs import (
    CACHE,
    ETCD,
    KUBERNETES,
    PINNED,
    UNPINNED,
    assets_folder,
    etcd_module,
    kubernetes_asked_for,
    kubernetes_module,
    minor,
    pinned_version,
    programs,
)

TOOLS = ("kubectl", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
"""What a Kubernetes go.mod can build. The test cluster takes the first two, a node all of them."""
VERSION_VARIABLES = "k8s.io/component-base/version"


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["--pin"] and len(arguments) == 2:
            version = arguments[1].removeprefix("v")
            write_kubernetes_module(PINNED / f"kubernetes-{minor(version)}", version)
        elif arguments:
            raise BuildError(f"usage: python -m tests.cluster.build [--pin VERSION], not {' '.join(arguments)}")
        else:
            return build()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build() -> int:
    assets = assets_folder()
    if assets is not None:
        _demand_all(assets)
        return 0
    obstacle = _obstacle()
    if obstacle:
        print(f"no test cluster: {obstacle}", file=sys.stderr)
        return 1 if os.environ.get("MEMDOCTOR_NO_SKIP") else 0
    with alone():
        _build_missing()
    return 0


def _obstacle() -> str:
    """Why nothing can be built here; empty when it can."""
    if sys.platform != "linux":
        return "kube-apiserver and etcd are built on Linux only"
    return "" if shutil.which("go") else "Go is not installed"


def _demand_all(assets: Path) -> None:
    given = programs()
    missing = [file.name for file in given.missing()] if given else []
    if missing:
        raise BuildError(f"KUBEBUILDER_ASSETS={assets} holds no {', '.join(missing)}")


def _build_missing() -> None:
    kubernetes = kubernetes_module()
    if kubernetes is None:
        version = _newest(kubernetes_asked_for())
        write_kubernetes_module(UNPINNED / f"kubernetes-{version}", version)
        kubernetes = kubernetes_module()
    wanted = programs()
    assert kubernetes is not None
    assert wanted is not None
    for file in wanted.missing():
        if file == wanted.etcd:
            go_build(etcd_module().folder, ETCD, file)
        else:
            go_build(kubernetes.folder, f"{KUBERNETES}/cmd/{file.name}", file, ldflags=ldflags(kubernetes.version))


def ldflags(version: str) -> str:
    """What Kubernetes' own build puts in: https://github.com/kubernetes/kubernetes/blob/v1.37.0/hack/lib/version.sh"""
    major, number = version.split(".")[:2]
    variables = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": number}
    return " ".join(["-s -w", *(f"-X {VERSION_VARIABLES}.{name}={value}" for name, value in variables.items())])


def _newest(asked: str) -> str:
    """`1.34` -> `1.34.2`, the newest patch that the module proxy has; a whole version stays as it is."""
    if re.fullmatch(r"1\.\d+\.\d+\S*", asked):
        return asked
    if not re.fullmatch(r"1\.\d+", asked):
        raise BuildError(f"K8S_VERSION is {asked!r}, not a version like 1.37 or 1.37.2")
    CACHE.mkdir(parents=True, exist_ok=True)
    listed = run_go(CACHE, "list", "-m", "-versions", KUBERNETES)
    patches = [int(found[1]) for found in re.finditer(rf"v{re.escape(asked)}\.(\d+)(?=\s|$)", listed)]
    if not patches:
        raise BuildError(f"there is no Kubernetes {asked}")
    return f"{asked}.{max(patches)}"


def write_kubernetes_module(folder: Path, version: str) -> None:
    """A go.mod that has Kubernetes' programs as its tools, with Kubernetes' own staging replaces.

    `go install k8s.io/kubernetes/cmd/kubectl@v1.37.2` does not work: it refuses modules with replace directives.
    """
    staging = f"v0.{version.removeprefix('1.')}"
    downloaded = json.loads(run_go(Path("/"), "mod", "download", "-json", f"{KUBERNETES}@v{version}"))
    own = Path(downloaded["GoMod"]).read_text()
    modules = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", own, re.MULTILINE)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    replaces = "".join(f"\t{module} => {module} {staging}\n" for module in modules)
    header = f"module memdoctor.dev/tests/cluster/kubernetes\n\ngo 1.24.0\n\nreplace (\n{replaces})\n"
    (unfinished / "go.mod").write_text(header)
    run_go(unfinished, "get", "-tool", *(f"{KUBERNETES}/cmd/{tool}@v{version}" for tool in TOOLS))
    assert pinned_version(unfinished, KUBERNETES) == version
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
