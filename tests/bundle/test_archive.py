"""What krew, and whoever looks into the archive, finds there."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from pathlib import Path

from .conftest import BUILD_PYTHON, ROOT, run

PACKED_BYTES = 20_000_000
UNPACKED_BYTES = 45_000_000
TOP = {"LICENSE", "THIRD_PARTY_LICENSES", "kubectl-memdoctor"}


def entries(archive: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return tar.getmembers()


def bill(archive: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = json.loads(archive.with_name(f"{archive.name}.cdx.json").read_text())
    return found


def test_there_are_only_files_and_folders_below_one_place(archive: Path) -> None:
    for entry in entries(archive):
        assert entry.isreg() or entry.isdir(), entry.name
        parts = Path(entry.name).parts
        assert ".." not in parts
        assert not Path(entry.name).is_absolute()
        assert parts[0] in TOP


def test_modes_owners_and_times_say_nothing_of_the_builder(archive: Path) -> None:
    found = entries(archive)
    assert {entry.mode for entry in found} == {0o755, 0o644}
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in found} == {(0, 0, "", "")}
    assert len({entry.mtime for entry in found}) == 1
    modes = {entry.name: entry.mode for entry in found}
    assert modes["kubectl-memdoctor/kubectl-memdoctor"] == 0o755
    assert modes["LICENSE"] == 0o644


def test_it_is_small(archive: Path) -> None:
    assert archive.stat().st_size < PACKED_BYTES
    assert sum(entry.size for entry in entries(archive)) < UNPACKED_BYTES


def test_what_is_never_used_is_not_inside(unpacked: Path) -> None:
    listed = run(BUILD_PYTHON, "-m", "PyInstaller.utils.cliutils.archive_viewer", "-r", "-b", "-l", _program(unpacked))
    assert "kubectl_memdoctor.rules.pod_oom_killed" in listed.out
    assert not re.search(r"kubernetes\.(client\.models|client\.api\.|aio)|setuptools|aiohttp|pydantic", listed.out)


def _program(unpacked: Path) -> Path:
    return unpacked / "kubectl-memdoctor" / "kubectl-memdoctor"


def test_no_path_of_the_build_machine_is_inside(unpacked: Path) -> None:
    """Whoever builds elsewhere must get the same bytes."""
    for path in unpacked.rglob("*"):
        assert path.is_dir() or str(ROOT).encode() not in path.read_bytes(), path


def test_checksums_are_right(archive: Path) -> None:
    lines = (archive.parent / "SHA256SUMS").read_text().splitlines()
    for name in (archive.name, f"{archive.name}.cdx.json"):
        assert f"{hashlib.sha256((archive.parent / name).read_bytes()).hexdigest()}  {name}" in lines


def test_every_part_inside_has_its_licence(archive: Path, unpacked: Path) -> None:
    """Bill and licences come from what was collected; what lies there must be in both."""
    told = (unpacked / "THIRD_PARTY_LICENSES").read_text()
    parts = {component["name"] for component in bill(archive)["components"]}
    for name in parts:
        assert re.search(rf"^=+\n{re.escape(name)} ?[^\n]*\(", told, re.MULTILINE | re.IGNORECASE), name
    assert parts >= {
        "kubernetes",
        "msgspec",
        "protobuf",
        "PySocks",
        "PyYAML",
        "tabulate",
        "urllib3",
        "wcwidth",
        "OpenSSL",
    }
    assert not parts & {"setuptools", "pydantic", "cyclonedx-python-lib", "pyelftools"}


def test_every_part_of_the_bill_is_locked(archive: Path) -> None:
    locked = (ROOT / "krew" / "requirements.txt").read_text() + (ROOT / "krew" / "build-requirements.txt").read_text()
    for component in bill(archive)["components"]:
        if component["purl"].startswith("pkg:pypi/"):
            name = component["name"].lower().replace("_", "-")
            assert f"{name}=={component['version']} " in locked


def test_the_lock_holds_hashes_and_names_no_registry() -> None:
    for name in ("requirements.txt", "build-requirements.txt"):
        text = (ROOT / "krew" / name).read_text()
        assert text.count("==") <= text.count("--hash=sha256:")
        assert "://" not in text


def test_glibc_finding(unpacked: Path) -> None:
    """Read apart from the builder's own reading: the newest of all versions that stand in the files."""
    script = "import sys, pathlib, krew.glibc as g; print(g.finding(pathlib.Path(sys.argv[1])))"
    told = run(BUILD_PYTHON, "-c", script, unpacked, cwd=ROOT).out
    seen = {
        tuple(map(int, number.split(b".")))
        for path in unpacked.rglob("*")
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"
        for number in re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", path.read_bytes())
    }
    newest = ".".join(map(str, max(seen)))
    assert told.startswith(f"glibc: {newest} is ")
    assert ("above the ceiling" in told) == (max(seen) > (2, 28))
    print(told)


def test_another_build_elsewhere_is_the_same(archive: Path, tmp_path: Path) -> None:
    listed = run("git", "ls-files", "-co", "--exclude-standard", "kubectl_memdoctor", "krew", "LICENSE", cwd=ROOT).out
    for name in listed.splitlines():
        target = tmp_path / "elsewhere" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    epoch = entries(archive)[0].mtime
    environ = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": str(epoch), "HOME": str(tmp_path)}
    done = run(BUILD_PYTHON, "-m", "krew.bundle", cwd=tmp_path / "elsewhere", environ=environ)
    assert done.code == 0, done.err
    again = tmp_path / "elsewhere" / "dist"
    for path in (archive, archive.with_name(f"{archive.name}.cdx.json")):
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
