"""Builds and fetches the programs of a node: `PYTHONPATH=tests python -m node.build [GENERATION...]`.

Only what the cache folder does not hold yet: some ten minutes on two cores the first time. On a machine that can have
no node, and where something must be installed first, it says so in one line; with MEMDOCTOR_NO_SKIP set that is a
failure. With MEMDOCTOR_INSTALL set it installs that itself.
"""

from __future__ import annotations

import os
import sys

from cluster.build import ldflags
from cluster.go_programs import BuildError, alone, go_build
from cluster.programs import ETCD, KUBERNETES, PINNED

from .images import images
from .machine.kernel import SUITES, kernel
from .machine.node import node_image
from .programs import (
    CONTAINERD,
    GENERATIONS,
    METRICS_SERVER,
    RUNC,
    Generation,
    containerd_module,
    generation,
    metrics_server,
    metrics_server_module,
    prometheus,
    runc_module,
)
from .requirements import install, obstacle

RUNC_TAGS = ("seccomp", "urfave_cli_no_docs", "netgo", "osusergo")
"""And statically linked, as the runc that its project releases: https://github.com/opencontainers/runc/blob/v1.4.0/Makefile"""
CONTAINERD_TAGS = ("no_btrfs",)


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in GENERATIONS]
    if unknown:
        print(f"error: no generation {unknown[0]}, there are {' and '.join(GENERATIONS)}", file=sys.stderr)
        return 2
    reason = obstacle()
    if reason:
        print(f"no node: {reason}", file=sys.stderr)
        return 1 if os.environ.get("MEMDOCTOR_NO_SKIP") else 0
    try:
        install()
        with alone():
            for name in arguments or GENERATIONS:
                build(generation(name))
            build_meters()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(wanted: Generation) -> None:
    """Everything that its nodes need: nothing can be fetched in an enclosure. Raises BuildError."""
    for file in wanted.missing():
        if file == wanted.plane.etcd:
            go_build(PINNED / "etcd", ETCD, file)
        elif file.parent == wanted.kubernetes:
            flags = ldflags(wanted.kubernetes_version)
            go_build(wanted.kubernetes_module, f"{KUBERNETES}/cmd/{file.name}", file, ldflags=flags)
        elif file.name == "runc":
            go_build(runc_module().folder, RUNC, file, ldflags="-s -w -extldflags -static", tags=RUNC_TAGS, cgo=True)
        else:
            flags = f"-s -w -X {CONTAINERD}/version.Version={containerd_module().version}"
            go_build(
                containerd_module().folder, f"{CONTAINERD}/cmd/{file.name}", file, ldflags=flags, tags=CONTAINERD_TAGS
            )
    images()
    for suite in SUITES:
        kernel(suite)
    node_image(wanted)


def build_meters() -> None:
    """What measures use on a node. Raises BuildError."""
    prometheus()
    if not metrics_server().is_file():
        package = f"{METRICS_SERVER}/cmd/metrics-server"
        go_build(metrics_server_module().folder, package, metrics_server())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
