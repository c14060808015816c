"""What was built is installed as people install it, each time into a folder of its own, and runs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubectl_memdoctor import __version__

from .built import ROOT, sdist, wheel

PROGRAM = "kubectl-memdoctor"
TOOLS = Path(sys.executable).parent
INSTALL_SECONDS = 600.0
DATA = """
import json
from importlib.resources import files
listed = [file for file in files("kubectl_memdoctor.data").iterdir() if file.is_file()]
print(json.dumps({file.name: len(file.read_bytes()) for file in listed}))
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the console script is, and the Python that it runs with."""

    script: Path
    python: Path

    def run(self, *arguments: str) -> str:
        return run([str(self.script), *arguments], self.script.parent)


def run(command: list[str], folder: Path, environ: dict[str, str] | None = None, seconds: float = 300.0) -> str:
    """What it prints, started outside of the repository, whose package would else be found first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=kept | (environ or {}), capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_pip(package: Path, folder: Path) -> Installed:
    run([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    place = folder / "venv/bin"
    run([str(place / "pip"), "install", "-q", str(package)], folder, seconds=INSTALL_SECONDS)
    return Installed(place / PROGRAM, place / "python")


def with_pipx(package: Path, folder: Path) -> Installed:
    environ = {name: str(folder / name) for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR")}
    command = [str(TOOLS / "pipx"), "install", "--python", sys.executable, str(package)]
    run(command, folder, environ, INSTALL_SECONDS)
    return Installed(folder / "PIPX_BIN_DIR" / PROGRAM, folder / "PIPX_HOME/venvs" / PROGRAM / "bin/python")


def with_uv(package: Path, folder: Path) -> Installed:
    environ = {name: str(folder / name) for name in ("UV_TOOL_DIR", "UV_TOOL_BIN_DIR")}
    command = [str(TOOLS / "uv"), "tool", "install", "-q", "--python", sys.executable, str(package)]
    run(command, folder, environ, INSTALL_SECONDS)
    return Installed(folder / "UV_TOOL_BIN_DIR" / PROGRAM, folder / "UV_TOOL_DIR" / PROGRAM / "bin/python")


WAYS: dict[str, tuple[Callable[[Path, Path], Installed], Callable[[], Path]]] = {
    "pip-wheel": (with_pip, wheel),
    "pip-sdist": (with_pip, sdist),
    "pipx-wheel": (with_pipx, wheel),
    "uv-tool-wheel": (with_uv, wheel),
}


@pytest.fixture(scope="module", params=WAYS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    install, package = WAYS[request.param]
    return install(package(), tmp_path_factory.mktemp(request.param))


def test_says_its_version(installed: Installed) -> None:
    assert __version__ in installed.run("version").splitlines()[0]


def test_runs_as_a_module(installed: Installed) -> None:
    assert run([str(installed.python), "-m", "kubectl_memdoctor", "version"], ROOT.parent) == installed.run("version")


def test_shows_the_demo(installed: Installed) -> None:
    assert "sandbox-memory-limit-too-small" in installed.run("demo")


def test_brings_its_data(installed: Installed) -> None:
    sizes = json.loads(run([str(installed.python), "-c", DATA], ROOT.parent))
    assert sizes == {
        file.name: file.stat().st_size for file in (ROOT / "kubectl_memdoctor/data").iterdir() if file.is_file()
    }


def test_kubectl_memdoctor_is_the_installed_one(installed: Installed) -> None:
    where = run([str(installed.python), "-c", "import kubectl_memdoctor as it; print(it.__file__)"], ROOT.parent)
    assert not Path(where).is_relative_to(ROOT)
