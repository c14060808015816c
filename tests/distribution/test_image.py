"""The image of a stand-in for the bundle: an OCI archive that fits together, the same each time, with nothing to spare.

tests/node/test_image.py runs the real one.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from image.build import PROGRAM, USER, ImageError, build, main

BUNDLE = "kubectl-memdoctor_1.2.3_linux_amd64.tar.gz"
SHELLS = {"sh", "bash", "dash", "busybox"}

pytestmark = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="images are built on Debian or Ubuntu")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / BUNDLE
    with tarfile.open(file, "w:gz") as packed:
        for name, mode in {"LICENSE": 0o644, "kubectl-memdoctor/kubectl-memdoctor": 0o755}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = 2, mode, 1_700_000_000
            packed.addfile(member, io.BytesIO(b"x\n"))
    return file


def unpacked(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as packed:
        return {member.name: packed.extractfile(member).read() for member in packed}  # type: ignore[union-attr]


def blob(files: dict[str, bytes], descriptor: Any) -> bytes:
    """What a descriptor leads to, which must be as it says."""
    content = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert len(content) == descriptor["size"]
    assert hashlib.sha256(content).hexdigest() == descriptor["digest"].removeprefix("sha256:")
    return content


def config_and_layer(archive: Path) -> tuple[Any, list[tarfile.TarInfo]]:
    files = unpacked(archive)
    (described,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, described))
    config = json.loads(blob(files, manifest["config"]))
    (layer,) = manifest["layers"]
    with tarfile.open(fileobj=io.BytesIO(blob(files, layer)), mode="r:gz") as packed:
        return config, packed.getmembers()


def test_the_program_runs_as_nobody(bundle: Path) -> None:
    config, members = config_and_layer(build(bundle))
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["User"] == f"{USER}:{USER}"
    assert config["config"]["Entrypoint"] == [f"/{PROGRAM}"]
    (program,) = (member for member in members if member.name == PROGRAM)
    assert program.mode == 0o755


def test_nothing_in_it_belongs_to_who_runs_it_but_its_home(bundle: Path) -> None:
    _, members = config_and_layer(build(bundle))
    assert [member.name for member in members if member.uid or member.gid] == ["home/nonroot"]
    assert [member.name for member in members if member.mode & 0o022 and not member.issym()] == ["tmp"]


def test_there_is_no_shell(bundle: Path) -> None:
    _, members = config_and_layer(build(bundle))
    names = {Path(member.name).name for member in members}
    assert "libc.so.6" in names
    assert not names & SHELLS
    assert not [member.name for member in members if member.mode & 0o6000]


def test_it_is_the_same_each_time(bundle: Path) -> None:
    first = build(bundle).read_bytes()
    assert build(bundle).read_bytes() == first


def test_what_is_no_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError):
        build(tmp_path / BUNDLE)
    assert main([str(tmp_path / "x.zip")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/x.zip is no bundle for Linux: make bundle\n"
