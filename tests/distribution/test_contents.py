"""The wheel holds the program and nothing else; the sdist holds all that it takes to test it."""

from __future__ import annotations

import configparser
import email
import email.message
import importlib
import subprocess
import tarfile
import zipfile
from pathlib import PurePosixPath

import pytest

from kubectl_memdoctor import __version__

from .built import ROOT, sdist, wheel

GIT_ONLY = (".ci/", ".github/", ".gitignore", ".krew.yaml")
"""What only the repository needs."""


def in_git() -> set[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


@pytest.fixture(scope="module")
def wheel_files() -> dict[str, bytes]:
    with zipfile.ZipFile(wheel()) as packed:
        return {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def metadata(wheel_files: dict[str, bytes]) -> email.message.Message:
    (name,) = (name for name in wheel_files if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel_files[name])


def test_the_wheel_is_the_package_and_its_page_for_man(wheel_files: dict[str, bytes]) -> None:
    program = {name for name in wheel_files if ".dist-info/" not in name}
    beside = {name for name in program if ".data/" in name}
    assert program - beside == {name for name in in_git() if name.startswith("kubectl_memdoctor/")}
    assert {name.partition("/")[2] for name in beside} == {"data/share/man/man1/kubectl-memdoctor.1"}


def test_the_wheel_runs_everywhere() -> None:
    assert wheel().name == f"kubectl_memdoctor-{__version__}-py3-none-any.whl"


def test_what_the_wheel_says_of_itself(metadata: email.message.Message) -> None:
    assert metadata["Name"] == "kubectl-memdoctor"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert str(metadata.get_payload()).startswith("# kubectl-memdoctor\n")


def test_the_licence_goes_with_it(wheel_files: dict[str, bytes]) -> None:
    assert [name for name in wheel_files if ".dist-info/" in name and PurePosixPath(name).name == "LICENSE"]


def test_nothing_that_only_tests_need_is_required(metadata: email.message.Message) -> None:
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert required
    assert not [line for line in required if line.startswith(("pytest", "hypothesis", "ruff", "mypy"))]


def test_every_entry_point_leads_somewhere(wheel_files: dict[str, bytes]) -> None:
    (name,) = (name for name in wheel_files if name.endswith(".dist-info/entry_points.txt"))
    listed = configparser.ConfigParser(delimiters=("=",))
    listed.read_string(wheel_files[name].decode())
    scripts = dict(listed["console_scripts"])
    assert "kubectl-memdoctor" in scripts
    for target in scripts.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_sdist_is_the_repository() -> None:
    with tarfile.open(sdist()) as packed:
        members = packed.getmembers()
    assert all(member.isfile() or member.isdir() for member in members)
    names = {member.name.partition("/")[2] for member in members if member.isfile()}
    made = {"PKG-INFO", *(name for name in names if name.startswith("kubectl_memdoctor.egg-info/"))}
    assert names - made == {name for name in in_git() if not name.startswith(GIT_ONLY)}
