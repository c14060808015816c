"""A cluster to try things in by hand: `PYTHONPATH=tests python -m node.enclosure python -m node.up [current [v1 v2]]`.

Runs a shell with kubectl, the plugin and a kubeconfig; the cluster ends with that shell.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster.memdoctor import new_shell

from .cluster import node_cluster, own_cgroup
from .programs import generation


def main(arguments: list[str]) -> int:
    name, *wanted = arguments or ["current"]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bin").mkdir()
        with node_cluster(generation(name), Path(folder), tuple(wanted) or (own_cgroup(),)) as cluster:
            shell = new_shell(cluster.plane, Path(folder) / "bin")
            environ = {**os.environ, **shell.environ("admin", "default")}
            print(f"nodes {', '.join(cluster.nodes.values())}, kubeconfig {environ['KUBECONFIG']}", flush=True)
            return subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
