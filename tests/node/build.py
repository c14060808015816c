"""Builds and fetches the programs of a node: `PYTHONPATH=tests python -m node.build [GENERATION...]`."""

from __future__ import annotations

import sys

from cluster.build import ldflags
from cluster.go_programs import BuildError, alone, go_build
from cluster.programs import ETCD, KUBERNETES, PINNED

from .programs import CONTAINERD, GENERATIONS, RUNC, Generation, containerd_module, generation, runc_module


def main(arguments: list[str]) -> int:
    try:
        with alone():
            for name in arguments or GENERATIONS:
                build(generation(name))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(wanted: Generation) -> None:
    for file in wanted.missing():
        if file == wanted.plane.etcd:
            go_build(PINNED / "etcd", ETCD, file)
        elif file.parent == wanted.kubernetes:
            flags = ldflags(wanted.kubernetes_version)
            go_build(wanted.kubernetes_module, f"{KUBERNETES}/cmd/{file.name}", file, ldflags=flags)
        elif file.name == "runc":
            # Static, as the runc that its project releases.
            tags = ("seccomp", "urfave_cli_no_docs", "netgo", "osusergo")
            go_build(runc_module().folder, RUNC, file, ldflags="-s -w -extldflags -static", tags=tags, cgo=True)
        else:
            flags = f"-s -w -X {CONTAINERD}/version.Version={containerd_module().version}"
            go_build(
                containerd_module().folder, f"{CONTAINERD}/cmd/{file.name}", file, ldflags=flags, tags=("no_btrfs",)
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
