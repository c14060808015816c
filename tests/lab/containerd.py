"""containerd for the lab: one handler for each runtime, and a network that costs nothing.

Debian 12's runtimes run under Debian 12's containerd, as they do there: containerd 2 writes configurations that crun
1.8.1 does not know. All others run under the newest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from node.images import PAUSE
from node.programs import CONTAINERD_PROGRAMS, Generation

from .runtimes import Runtime

FOLDER = Path("/run/memdoctor-lab")
NETWORK = {"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "answer"}]}
PLUGIN = """\
#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion": "1.0.0", "interfaces": [{"name": "'"$CNI_IFNAME"'", "sandbox": "'"$CNI_NETNS"'"}],
"ips": [{"address": "10.78.0.2/24", "interface": 0}]}'
"""
"""CNI plugins that only answer. Pods get a network namespace as on any node; what plugins do inside it happens in
containerd's cgroup, not in the pod's, so that it does not count here."""
PLUGINS = ("answer", "loopback")


@dataclass(frozen=True, slots=True)
class Containerd:
    """One containerd and the runtimes that it runs."""

    generation: str
    version: str
    programs: dict[str, Path]
    runtimes: tuple[Runtime, ...]

    @property
    def folder(self) -> Path:
        return FOLDER / self.generation

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    @property
    def command(self) -> list[str]:
        return [str(self.programs["containerd"]), "--config", str(self.folder / "config.toml")]

    @property
    def path(self) -> str:
        """PATH for it: the shim is found there."""
        return f"{self.programs['containerd'].parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def ctr(self, *arguments: str) -> list[str]:
        return [str(self.programs["ctr"]), "--address", str(self.socket), "--namespace", "k8s.io", *arguments]

    def files(self) -> dict[Path, str]:
        """What to write before it is started; those without a suffix are programs."""
        plugins = {self.folder / "cni" / name: PLUGIN for name in PLUGINS}
        text = _version_2(self) if self.version.startswith("1.") else _version_3(self)
        return {self.folder / "config.toml": text, self.folder / "cni/lab.conflist": json.dumps(NETWORK), **plugins}


def containerd(generation: Generation, runtimes: Iterable[Runtime]) -> Containerd:
    own = tuple(runtime for runtime in runtimes if runtime.generation == generation.name)
    programs = {name: generation.node[name] for name in CONTAINERD_PROGRAMS}
    return Containerd(generation.name, generation.containerd_version, programs, own)


def _version_3(one: Containerd) -> str:
    """https://github.com/containerd/containerd/blob/v2.2.0/docs/cri/config.md"""
    runtime = "io.containerd.cri.v1.runtime"
    return f"""\
version = 3
{_head(one)}
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"
[plugins."{runtime}"]
{_SETTINGS}
[plugins."{runtime}".cni]
  bin_dirs = ["{one.folder}/cni"]
  conf_dir = "{one.folder}/cni"
{_handlers(one, runtime)}"""


def _version_2(one: Containerd) -> str:
    """https://github.com/containerd/containerd/blob/v1.6.20/docs/cri/config.md"""
    runtime = "io.containerd.grpc.v1.cri"
    return f"""\
version = 2
{_head(one)}
[plugins."{runtime}"]
  sandbox_image = "{PAUSE}"
{_SETTINGS}
[plugins."{runtime}".cni]
  bin_dir = "{one.folder}/cni"
  conf_dir = "{one.folder}/cni"
{_handlers(one, runtime)}"""


_SETTINGS = """\
  # Without CAP_SYS_RESOURCE no process can be made less likely to be killed.
  restrict_oom_score_adj = true
  disable_apparmor = true"""


def _head(one: Containerd) -> str:
    """The images lie on a disk, as on a node: a tmpfs would count as memory."""
    return f"""\
root = "/var/lib/containerd/memdoctor-lab-{one.generation}"
state = "{one.folder}/state"
[grpc]
  address = "{one.socket}\""""


def _handlers(one: Containerd, plugin: str) -> str:
    """There must be a default, though every try names its handler."""
    default = f"""\
[plugins."{plugin}".containerd]
  default_runtime_name = "{one.runtimes[0].handler}"
"""
    return default + "".join(
        f"""\
[plugins."{plugin}".containerd.runtimes."{runtime.handler}"]
  runtime_type = "io.containerd.runc.v2"
[plugins."{plugin}".containerd.runtimes."{runtime.handler}".options]
  BinaryName = "{runtime.file}"
  SystemdCgroup = false
"""
        for runtime in one.runtimes
    )
