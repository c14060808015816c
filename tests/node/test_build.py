"""Where no node can be built or started, one line says so."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from debian_packages import INSTALL, Requirement

from . import build, enclosure, requirements
from .programs import GENERATIONS
from .requirements import REQUIREMENTS


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMDOCTOR_NO_SKIP", raising=False)
    monkeypatch.delenv(INSTALL, raising=False)


def says(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    assert (build.main([]), capsys.readouterr().err) == (0, f"no node: {line}\n")
    monkeypatch.setenv("MEMDOCTOR_NO_SKIP", "1")
    assert (build.main([]), capsys.readouterr().err) == (1, f"no node: {line}\n")


def test_elsewhere_than_on_linux(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    says(capsys, monkeypatch, "a node runs on Linux only")
    assert enclosure.main(["true"]) == 1
    assert capsys.readouterr().err == "no node: a node runs on Linux only\n"


def test_without_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    says(capsys, monkeypatch, "it takes root")


def test_where_what_is_written_would_be_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(enclosure, "CACHE", Path("/opt/cache"))
    says(capsys, monkeypatch, "what is written to /opt/cache would be lost: it lies in /etc, /opt, /var/lib")


def test_without_go(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **options: None if name == "go" else which(name, **options))
    says(capsys, monkeypatch, "Go is not installed")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    absent = (Requirement("nosuch-dev", "/nosuch/file.h", "a test"), Requirement("nosuch", "nosuch-program", "a test"))
    monkeypatch.setattr(requirements, "REQUIREMENTS", (*REQUIREMENTS, *absent))
    says(capsys, monkeypatch, "apt-get install nosuch-dev nosuch (or set MEMDOCTOR_INSTALL=1)")


def test_an_installation_that_fails_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho $* >> $0.log\n[ $2 = update ]\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(INSTALL, "1")
    monkeypatch.setattr(requirements, "REQUIREMENTS", (Requirement("nosuch", "nosuch-program", "a test"),))
    assert build.main([]) == 1
    failed = "install --yes --no-install-recommends nosuch"
    assert capsys.readouterr().err == f"error: apt-get {failed} failed: see above\n"
    assert Path(f"{apt}.log").read_text() == f"-qq update\n-qq {failed}\n"


def test_an_unknown_generation_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["future"]) == 2
    assert capsys.readouterr().err == "error: no generation future, there are current and distribution\n"
    assert GENERATIONS == ("current", "distribution")


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert enclosure.main([]) == 2
    assert capsys.readouterr().err == "error: usage: python -m node.enclosure COMMAND [ARGUMENT...]\n"


@pytest.mark.parametrize(
    ("file_system", "fields"),
    [("overlay", "9 1 0:9 / /var rw - overlay overlay rw"), ("ext4", "9 1 0:9 / /variety rw - overlay overlay rw")],
)
def test_the_file_system_that_a_folder_lies_in(monkeypatch: pytest.MonkeyPatch, file_system: str, fields: str) -> None:
    mounts = f"1 0 0:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\n{fields}\n"
    monkeypatch.setattr(Path, "read_text", lambda _: mounts)
    assert enclosure._file_system(Path("/var/tmp")) == file_system
