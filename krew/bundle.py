"""Builds the bundle of this machine into dist/: `make bundle`, or `python -m krew.bundle` where requirements are in.

build/bundle/tree/ is what the archive holds: kubectl-memdoctor/ with the executable and its _internal/, LICENSE and
THIRD_PARTY_LICENSES. Every byte of it follows from the commit, the locked requirements and the Python that builds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from krew.archive import write_archive
from krew.contents import read_collected
from krew.glibc import finding
from krew.licences import third_party_licences
from krew.platforms import archive_name, this_platform
from krew.sbom import bill_of_materials
from kubectl_memdoctor import __version__

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "bundle"
WORK = BUILD / "work"
TREE = BUILD / "tree"
DIST = ROOT / "dist"


def build() -> Path:
    """Returns the archive; what else it writes lies beside it."""
    epoch = source_date()
    freeze(epoch)
    _prove_that_it_runs()
    collected = read_collected(WORK)
    shutil.copyfile(ROOT / "LICENSE", TREE / "LICENSE")
    (TREE / "THIRD_PARTY_LICENSES").write_text(third_party_licences(collected), encoding="utf-8", newline="\n")
    DIST.mkdir(exist_ok=True)
    archive = DIST / archive_name(__version__, *this_platform())
    write_archive(TREE, archive, epoch)
    bill = bill_of_materials(collected, __version__, archive.name, _sha256(archive), epoch)
    (DIST / f"{archive.name}.cdx.json").write_text(bill, encoding="utf-8", newline="\n")
    _write_checksums()
    return archive


def source_date() -> int:
    """Seconds: SOURCE_DATE_EPOCH, else when the commit was made. https://reproducible-builds.org/specs/source-date-epoch/"""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        sys.exit("error: this is no git checkout: set SOURCE_DATE_EPOCH to the seconds that the files shall be of")
    return int(shown.stdout)


def freeze(epoch: int) -> None:
    """PyInstaller, from nothing: what an earlier build left could stay inside."""
    for folder in (WORK, TREE):
        shutil.rmtree(folder, ignore_errors=True)
    # Sets are written into bytecode in hash order.
    environ = {**os.environ, "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN"]
    command += [f"--workpath={WORK}", f"--distpath={TREE}", str(ROOT / "krew" / "bundle.spec")]
    subprocess.run(command, env=environ, cwd=ROOT, check=True)


def _prove_that_it_runs() -> None:
    """Every rule and the whole way to a table: a module that is missing would show here."""
    for arguments in (["explain"], ["demo"], ["version"]):
        program = TREE / "kubectl-memdoctor" / "kubectl-memdoctor"
        subprocess.run([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)


def _write_checksums() -> None:
    """SHA256SUMS of all that is to be published, as `sha256sum -c` reads it."""
    published = sorted(path for path in DIST.iterdir() if path.name.startswith("kubectl-memdoctor_"))
    lines = [f"{_sha256(path)}  {path.name}\n" for path in published]
    (DIST / "SHA256SUMS").write_text("".join(lines), newline="\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(build().relative_to(ROOT))
    print(finding(TREE))
