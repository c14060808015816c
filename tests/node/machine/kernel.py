"""Kernels of Debian's machines in clouds, and an initramfs with the modules that our machine needs of each."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cluster.go_programs import BuildError
from cluster.programs import CACHE

from node.packages import package

from .content import content_hash

SUITE = "bookworm"
"""Where all of the machine comes from."""
OLDER_SUITE = "bullseye"
"""Where an older kernel comes from: the oldest that Debian's mirrors still hold."""
SUITES = (SUITE, OLDER_SUITE)
MACHINE = CACHE / "machine"
INIT = Path(__file__).parent / "init"
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "overlay", "bridge", "veth")
"""Not built in: what the disk, the shell and the network hang on, and what containerd and the CNI plugins use."""
APPLETS = ("cat", "insmod", "mount", "sh", "switch_root", "usleep")


@dataclass(frozen=True, slots=True)
class Kernel:
    image: Path
    initramfs: Path


def kernel(suite: str = SUITE) -> Kernel:
    """Of one of SUITES. Raises BuildError."""
    files = _kernel_package(suite)
    image = next(files.glob("boot/vmlinuz-*"), None)
    if image is None:
        raise BuildError(f"{files} holds no kernel")
    return Kernel(image, _initramfs(files))


def busybox() -> Path:
    """Statically linked, so that it runs anywhere. Raises BuildError."""
    return package("busybox-static", SUITE) / "bin/busybox"


def _kernel_package(suite: str) -> Path:
    """`linux-image-cloud-amd64` is an empty package: its documentation is a link to that of the newest kernel."""
    name = "linux-image-cloud-amd64"
    newest = package(name, suite) / "usr/share/doc" / name
    return package(newest.readlink().name, suite)


def _initramfs(files: Path) -> Path:
    modules = in_loading_order(
        MODULES, {file.stem.replace("-", "_"): file for file in files.glob("lib/modules/*/kernel/**/*.ko")}
    )
    parts = {str(module.name): module for module in modules} | {"init": INIT / "initramfs-init", "sh": busybox()}
    finished = MACHINE / f"initramfs-{content_hash(parts)}"
    if not finished.exists():
        MACHINE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=MACHINE) as scratch:
            _fill(Path(scratch, "tree"), modules)
            _archive(Path(scratch, "tree"), Path(scratch, "archive"))
            Path(scratch, "archive").replace(finished)
    return finished


def in_loading_order(names: Iterable[str], modules: dict[str, Path]) -> list[Path]:
    """Each after those that it depends on, which it names in its section `.modinfo`; what is built in is in no file."""
    ordered: list[Path] = []
    for name in names:
        file = modules.get(name)
        if file is None:
            continue
        found = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())
        needed = found[1].decode().split(",") if found else []
        ordered += [each for each in (*in_loading_order(needed, modules), file) if each not in ordered]
    return ordered


def _fill(tree: Path, modules: list[Path]) -> None:
    for folder in ("bin", "dev", "root", "modules"):
        (tree / folder).mkdir(parents=True)
    shutil.copy2(busybox(), tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    for module in modules:
        shutil.copy(module, tree / "modules")
    (tree / "modules/order").write_text("".join(f"{module.name}\n" for module in modules))
    shutil.copy2(INIT / "initramfs-init", tree / "init")


def _archive(tree: Path, file: Path) -> None:
    names = sorted(str(found.relative_to(tree)) for found in tree.rglob("*"))
    command = [str(busybox()), "cpio", "-o", "-H", "newc"]
    with file.open("wb") as archive:
        done = subprocess.run(
            command, cwd=tree, input="\n".join(names).encode(), stdout=archive, stderr=subprocess.PIPE, check=False
        )
    if done.returncode != 0:
        raise BuildError(f"cpio failed: {done.stderr.decode().strip()}")
