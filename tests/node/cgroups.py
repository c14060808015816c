"""The cgroup hierarchies of this machine, and a cgroup of ours in each: v1, v2, or v1 with an unused v2 beside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 10.0
"""A cgroup is busy for a moment after its last process has ended."""
_FLAGS = {"rw", "xattr", "clone_children", "noprefix"}
_INIT = "init"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted hierarchy. `options` are what it is mounted with: `memory`, `cpu,cpuacct`; empty for v2."""

    mount: Path
    options: str

    @property
    def is_v2(self) -> bool:
        return not self.options


def hierarchies() -> tuple[Hierarchy, ...]:
    """Those that a node uses. A v2 hierarchy beside v1 ones is left out: crun refuses such a hybrid."""
    mounted = _mounted()
    v1 = tuple(one for one in mounted if not one.is_v2)
    return v1 or mounted


def version() -> str:
    """`v1` or `v2`, as the machine has it."""
    return "v2" if hierarchies()[0].is_v2 else "v1"


def _mounted() -> tuple[Hierarchy, ...]:
    found: dict[Path, Hierarchy] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        own, _, kind = line.partition(" - ")
        file_system, _, options = kind.split(" ", 2)
        if file_system not in ("cgroup", "cgroup2"):
            continue
        mount = Path(own.split(" ")[4])
        found[mount] = Hierarchy(mount, "" if file_system == "cgroup2" else _controllers(options))
    return tuple(found.values())


def _controllers(options: str) -> str:
    kept = (option for option in options.split(",") if option not in _FLAGS and not option.startswith("release_agent"))
    return ",".join(kept)


def names(prefix: str) -> set[str]:
    """Of the cgroups at a hierarchy's root."""
    return {folder.name for one in _mounted() for folder in one.mount.glob(f"{prefix}*")}


def make(name: str) -> None:
    """A cgroup of that name at the root of each hierarchy. Raises OSError."""
    for one in hierarchies():
        own = one.mount / name
        own.mkdir(exist_ok=True)
        if one.is_v2:
            _delegate(one.mount)
        if "cpuset" in one.options.split(","):
            for file in ("cpuset.cpus", "cpuset.mems"):
                (own / file).write_text((one.mount / file).read_text())


def enter(name: str) -> None:
    """Moves this process there."""
    for one in hierarchies():
        (one.mount / name / "cgroup.procs").write_text(str(os.getpid()))


def mount_own() -> None:
    """Mounts what this process's cgroup namespace shows, and nothing else of cgroups, where the machine has it.

    On v2 the process moves one cgroup down: one that has processes can give its children no controllers.
    """
    own = hierarchies()
    links = {link: link.readlink() for link in ROOT.iterdir() if link.is_symlink()}
    _mount("sysfs", Path("/sys"))
    if own[0].is_v2:
        _mount("cgroup2", own[0].mount)
        (own[0].mount / _INIT).mkdir()
        (own[0].mount / _INIT / "cgroup.procs").write_text("0")
        _delegate(own[0].mount)
        return
    _mount("tmpfs", ROOT, "mode=755")
    for one in own:
        one.mount.mkdir()
        _mount("cgroup", one.mount, one.options if "=" not in one.options else f"none,{one.options}")
    for link, target in links.items():
        link.symlink_to(target)


def _mount(kind: str, target: Path, options: str = "") -> None:
    chosen = ["-o", options] if options else []
    subprocess.run(["mount", "-t", kind, *chosen, kind, str(target)], check=True)


def _delegate(cgroup: Path) -> None:
    for controller in (cgroup / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (cgroup / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name: str) -> None:
    """Removes the cgroups of that name, with those below them, once their processes have ended."""
    deadline = time.monotonic() + REMOVE_SECONDS
    for one in _mounted():
        while not _removed(one.mount / name):
            if time.monotonic() > deadline:
                print(f"{one.mount / name} stays: it is busy", file=sys.stderr)
                break
            time.sleep(0.05)


def _removed(cgroup: Path) -> bool:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            return False
    return True
