"""The disk of a machine: busybox, what starts the machine, and any files beside."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cluster.go_programs import BuildError

from .content import content_hash
from .kernel import INIT, MACHINE, busybox

SPACE = 2 << 30
"""Bytes that a machine may write: the file has holes, and what is written goes elsewhere."""
BLOCK = 4096
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "var/lib", "var/log", "mnt")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"
OS_RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
"""What the kubelet says of the node's system, which is Debian's as far as the kernel goes."""


def root_image(name: str, files: Mapping[str, Path | bytes]) -> Path:
    """An ext4 file system in the cache folder that holds `files` (path in the machine -> content), built once.

    `name` is for the reader of the cache folder. Programs that are linked dynamically need their `libraries` as well.
    Raises BuildError.
    """
    whole = _base() | {path.lstrip("/"): part for path, part in files.items()}
    finished = MACHINE / f"{name}-{content_hash(whole)}.img"
    if finished.exists():
        return finished
    MACHINE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MACHINE) as scratch:
        tree, unfinished = Path(scratch, "tree"), Path(scratch, "image")
        for folder in FOLDERS:
            (tree / folder).mkdir(parents=True)
        for path, part in whole.items():
            _place(tree / path, part)
        _link_applets(tree / "bin")
        (tree / "var/run").symlink_to("/run")
        (tree / "sbin/init").symlink_to("/bin/busybox")
        _make_file_system(tree, unfinished)
        for outdated in MACHINE.glob(f"{name}-????????????????.img"):
            outdated.unlink()
        unfinished.replace(finished)
    return finished


def with_libraries(program: Path) -> dict[str, Path]:
    """A program and its libraries, each at the path that it has on this machine. Raises BuildError."""
    return {str(program): program, **libraries(program)}


def libraries(program: Path) -> dict[str, Path]:
    """The loader and the libraries of a program, at the paths where it looks for them. Raises BuildError."""
    found = subprocess.run(["patchelf", "--print-interpreter", program], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return {}
    loader = found.stdout.strip()
    listed = subprocess.run([loader, "--list", program], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise BuildError(f"{program} does not find its libraries: {listed.stderr.strip()}")
    places = re.findall(r"(?:^| => |^\t)(/\S+) \(0x", listed.stdout, re.MULTILINE)
    return {place: Path(place) for place in (loader, *places)}


def _base() -> dict[str, Path | bytes]:
    return {
        "bin/busybox": busybox(),
        "etc/inittab": INIT / "inittab",
        "etc/rc": INIT / "rc",
        "sbin/answer": INIT / "answer",
        "etc/passwd": PASSWD,
        "etc/group": b"root:x:0:\n",
        "etc/hosts": b"127.0.0.1 localhost\n",
        "etc/resolv.conf": b"",
        "etc/os-release": OS_RELEASE,
        # Read by the kubelet; there is but one machine in a cluster.
        "etc/machine-id": b"0123456789abcdef0123456789abcdef\n",
    }


def _place(file: Path, part: Path | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(part, bytes):
        file.write_bytes(part)
    else:
        shutil.copy(part, file)


def _link_applets(folder: Path) -> None:
    listed = subprocess.run([str(busybox()), "--list"], capture_output=True, text=True, check=True)
    for applet in set(listed.stdout.split()) - {"busybox"}:
        (folder / applet).symlink_to("busybox")


def _make_file_system(tree: Path, file: Path) -> None:
    """https://man7.org/linux/man-pages/man8/mke2fs.8.html"""
    size = SPACE + sum(-found.stat().st_size // BLOCK * -BLOCK for found in tree.rglob("*") if found.is_file())
    with file.open("wb") as image:
        image.truncate(size)
    program = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if program is None:
        raise BuildError("mke2fs is not installed: apt-get install e2fsprogs")
    options = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", str(tree)]
    done = subprocess.run([program, *options, str(file)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"mke2fs failed: {done.stderr.strip()}")
