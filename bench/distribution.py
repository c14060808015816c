"""Writes the figures of docs/distribution.md: sizes of the bundle, and how long it takes to start, as ratios.

Needs what `make bundle` made and the kubectl of `python -m tests.cluster.build`. Everything is started in turn, round
after round, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from cluster.programs import programs

from bench.page import table, taken_on, with_block
from krew.platforms import archive_name, this_platform
from kubectl_memdoctor import __version__

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "distribution.md"
ROUNDS = 41
BASE = "`kubectl version --client`"
PLUGIN = "`kubectl memdoctor --version`, bundle"
OVER_SECONDS = 0.060
PACKED, UNPACKED = 20_000_000, 45_000_000


def main() -> None:
    archive = ROOT / "dist" / archive_name(__version__, *this_platform())
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
        content = "\n\n".join((taken_on(), _sizes(archive, Path(folder)), _starts(Path(folder, "kubectl-memdoctor"))))
    PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), "bundle", content), encoding="utf-8")
    print(content)


def _sizes(archive: Path, folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    unpacked = sum(path.stat().st_size for path in files)
    rows = (
        ("packed", _megabytes(archive.stat().st_size), f"under {_megabytes(PACKED)}"),
        (f"unpacked, {len(files)} files", _megabytes(unpacked), f"under {_megabytes(UNPACKED)}"),
    )
    return table(["size", "measured", "wanted"], rows)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _starts(bundle: Path) -> str:
    found = programs()
    if found is None or not found.kubectl.is_file():
        sys.exit("error: no kubectl to start it with: run `python -m tests.cluster.build`")
    kubectl, wheel = str(found.kubectl), Path(sys.executable).parent
    with_bundle, with_wheel = _on_path(bundle), _on_path(wheel)
    runs: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
        BASE: ([kubectl, "version", "--client"], with_bundle),
        PLUGIN: ([kubectl, "memdoctor", "--version"], with_bundle),
        "`kubectl memdoctor --version`, wheel": ([kubectl, "memdoctor", "--version"], with_wheel),
        "`kubectl-memdoctor --version`, bundle": ([str(bundle / "kubectl-memdoctor"), "--version"], with_bundle),
        "`python -c pass`": ([sys.executable, "-c", "pass"], with_bundle),
    }
    taken = _in_turn(runs)
    base = median(taken[BASE])
    over = median(taken[PLUGIN]) - base
    fastest = min(taken[BASE])
    rows = ((name, f"{median(seconds) / base:.2f}", f"{min(seconds) / fastest:.2f}") for name, seconds in taken.items())
    reached = "is reached" if over <= OVER_SECONDS else "is **not** reached"
    sentence = (
        f"The bundle takes {over * 1000:.0f} ms more than {BASE}, whose own median was {base * 1000:.0f} ms:"
        f" the bound of {OVER_SECONDS * 1000:.0f} ms {reached} in this run."
    )
    return f"{table(['start', 'median / kubectl', 'fastest / kubectl'], rows)}\n\n{sentence}"


def _on_path(folder: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _in_turn(runs: Mapping[str, tuple[Sequence[str], Mapping[str, str]]]) -> dict[str, list[float]]:
    rounds = [{name: _seconds(*run) for name, run in runs.items()} for _ in range(ROUNDS)]
    # The first round reads the files from the disk.
    return {name: [taken[name] for taken in rounds[1:]] for name in runs}


def _seconds(command: Sequence[str], environ: Mapping[str, str]) -> float:
    launch = [sys.executable, "-S", str(Path(__file__).parent / "launch.py"), os.devnull, *command]
    taken = json.loads(subprocess.run(launch, env=environ, capture_output=True, check=True).stdout)
    if taken["exit_code"] != 0:
        sys.exit(f"error: {' '.join(command)} failed")
    return float(taken["wall"])


if __name__ == "__main__":
    main()
