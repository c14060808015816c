"""The images on a node, made here from static programs: no registry is asked for any.

The app image holds busybox with its applets, and `/bin/eat MIB [MILLISECONDS]`, which takes that much memory, writes to
it and keeps it.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from cluster.go_programs import BuildError
from cluster.programs import CACHE

from .packages import package

PAUSE = "registry.k8s.io/pause:3.10"
APP = "registry.example/base/app:1"
SOURCES = Path(__file__).parent / "c"
FOLDERS = ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "var")
PASSWD = b"root:x:0:0:root:/:/bin/sh\n"
CREATED = "2026-01-01T00:00:00Z"
SUITE = "bookworm"
FOLDER = CACHE / "images"


def images() -> dict[str, Path]:
    """Reference -> the archive that `ctr images import` takes, made when the cache folder has none.

    Raises BuildError.
    """
    return {PAUSE: _cached("pause", _pause), APP: _cached("app", _app)}


def compiled_pause() -> bytes:
    """Raises BuildError."""
    return _compiled("pause")


def _cached(name: str, made: Callable[[], bytes]) -> Path:
    sources = b"".join(file.read_bytes() for file in (Path(__file__), *sorted(SOURCES.iterdir())))
    file = FOLDER / f"{name}-{hashlib.sha256(sources).hexdigest()[:16]}.tar"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            unfinished = Path(scratch, file.name)
            unfinished.write_bytes(made())
            unfinished.replace(file)
    return file


def _pause() -> bytes:
    return archive(PAUSE, layer({"pause": compiled_pause()}), ["/pause"], user="65535:65535")


def _app() -> bytes:
    return archive(APP, app_layer(), ["/bin/sh"])


def app_layer() -> bytes:
    """busybox with its applets, and eat. Raises BuildError."""
    busybox = package("busybox-static", SUITE) / "bin/busybox"
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files = {"bin/busybox": busybox.read_bytes(), "bin/eat": _compiled("eat")}
    links = {f"bin/{applet}": "busybox" for applet in listed if applet != "busybox"}
    return layer(files, links)


def _compiled(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, name)
        command = ["gcc", "-O2", "-static", "-s", "-o", str(file), str(SOURCES / f"{name}.c")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BuildError("gcc is not installed") from None
        if done.returncode != 0:
            raise BuildError(f"gcc failed: {done.stderr.strip()}")
        return file.read_bytes()


def layer(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar of programs and symbolic links by their paths, with the folders that every image has."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in FOLDERS:
            tar.addfile(_member(folder, type=tarfile.DIRTYPE))
        for path, content in files.items():
            tar.addfile(_member(path, size=len(content)), io.BytesIO(content))
        for path, target in (links or {}).items():
            tar.addfile(_member(path, type=tarfile.SYMTYPE, linkname=target))
        tar.addfile(_member("etc/passwd", size=len(PASSWD), mode=0o644), io.BytesIO(PASSWD))
    return packed.getvalue()


def _member(path: str, **attributes: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.mode = 0o755
    for name, value in attributes.items():
        setattr(member, name, value)
    return member


def archive(reference: str, layer: bytes, entrypoint: list[str], user: str = "") -> bytes:
    """As `docker save` writes it: https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md"""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": CREATED,
        "config": {"User": user, "Env": ["PATH=/bin"], "Entrypoint": entrypoint, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": CREATED}],
    }
    encoded = json.dumps(config).encode()
    name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in {
            "layer.tar": layer,
            name: encoded,
            "manifest.json": json.dumps(manifest).encode(),
        }.items():
            tar.addfile(_member(path, size=len(content), mode=0o644), io.BytesIO(content))
    return packed.getvalue()
