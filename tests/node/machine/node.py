"""A node in a virtual machine, with a cgroup version or a kernel that this machine does not have."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.control_plane import ControlPlane

from node.configuration import Node, programs_and_images, settings
from node.packages import package, relocated
from node.programs import Generation
from node.running_node import RunningNode
from node.syslog import syslog_files

from .boot import Tap, machine
from .kernel import SUITE
from .root_image import libraries, root_image

TAP = Tap("memdoctor", here="10.79.0.1", machine="10.79.0.2")
PODS = "10.80.0.0/24"
CPUS = 2
MEMORY_MIB = 3072
MOUNT_PROGRAMS = ("mount", "umount")
"""The kubelet runs them with options that busybox's do not know."""


def node_image(generation: Generation) -> Path:
    """The disk of a node of that generation, made when the cache folder has none. Raises BuildError."""
    util_linux = package("mount", SUITE, with_dependencies=True)
    programs = programs_and_images(generation)
    programs |= {f"/usr/bin/{name}": relocated(util_linux, f"bin/{name}") for name in MOUNT_PROGRAMS}
    files = programs | syslog_files()
    for file in set(files.values()):
        files |= libraries(file)
    return root_image(f"node-{generation.name}", files)


@contextlib.contextmanager
def machine_node(
    generation: Generation, plane: ControlPlane, cgroup: str, folder: Path, suite: str = SUITE, *, evicts: bool = True
) -> Iterator[RunningNode]:
    """Its kubelet is started; only inside an enclosure. `suite`: whose kernel it has. `folder` takes the machine's
    logs. Raises BuildError, Gone."""
    node = Node(f"worker-{cgroup}", TAP.machine, PODS, may_lower_oom_score=True, evicts=evicts)
    with (
        _tap(),
        machine(
            node_image(generation),
            cpus=CPUS,
            memory_mib=MEMORY_MIB,
            cgroup=cgroup,
            suite=suite,
            folder=folder,
            tap=TAP,
        ) as place,
    ):
        place.run(["hostname", node.name])
        started = RunningNode(node, place)
        started.configure(settings(generation, node, plane))
        started.start()
        yield started


@contextlib.contextmanager
def _tap() -> Iterator[None]:
    _ip("tuntap", "add", "dev", TAP.device, "mode", "tap")
    try:
        _ip("address", "add", f"{TAP.here}/24", "dev", TAP.device)
        _ip("link", "set", TAP.device, "up")
        yield
    finally:
        _ip("tuntap", "delete", "dev", TAP.device, "mode", "tap")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
