"""`kubectl memdoctor completion`: where the script goes, and what is never overwritten."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.completion.script import NAME, PLUGIN, SCRIPT


@dataclass(frozen=True, slots=True)
class Machine:
    """A home, and a folder on PATH with the plugin in it."""

    home: Path
    bin: Path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    home, folder = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    folder.mkdir()
    program(folder / PLUGIN, "#!/bin/sh\nprintf '<%s>' \"$@\"\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(folder))
    return Machine(home, folder)


def program(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(0o755)
    return file


def complete(*arguments: str) -> int:
    return main(["completion", *arguments])


def test_it_is_put_where_kubectl_finds_the_plugin(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    file = machine.bin / NAME
    assert complete("install") == 0
    assert capsys.readouterr() == ("", f"{file} written.\n")
    assert file.read_text() == SCRIPT
    assert stat.S_IMODE(file.stat().st_mode) == 0o755
    assert sorted(entry.name for entry in machine.bin.iterdir()) == [PLUGIN, NAME]


def test_the_script_hands_every_word_on_as_it_is(machine: Machine) -> None:
    complete("install")
    words = ["pod", "a b", "$(x)", "*", ""]
    ran = subprocess.run([machine.bin / NAME, *words], capture_output=True, text=True, check=True)
    assert ran.stdout == "".join(f"<{word}>" for word in ["__complete", *words])


def test_what_is_printed_is_what_is_written(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete("print") == 0
    assert capsys.readouterr() == (SCRIPT, "")
    assert list(machine.home.iterdir()) == []


def test_an_earlier_one_is_written_anew_where_it_is(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    older = SCRIPT.replace("exec", "# older\nexec")
    file = program(machine.bin / NAME, older)
    file.chmod(0o700)
    assert complete("install") == 0
    assert file.read_text() == SCRIPT
    assert capsys.readouterr().err == f"{file} written.\n"


def test_one_that_pip_made_is_enough(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    file = program(machine.bin / NAME, "#!/usr/bin/python3\nfrom kubectl_memdoctor.cli import complete\n")
    content = file.read_text()
    assert complete("install") == 0
    assert capsys.readouterr().err == f"{file} is on PATH already: nothing is to be done.\n"
    assert file.read_text() == content


def test_a_folder_that_is_not_on_path_is_told(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    folder = machine.home / "new" / "bin"
    assert complete("install", "--to", str(folder)) == 0
    assert (folder / NAME).read_text() == SCRIPT
    assert capsys.readouterr().err == (
        f"{folder / NAME} written.\n{folder} is not on PATH: kubectl finds it only once that is.\n"
    )


def test_without_a_place_beside_the_plugin_it_goes_to_the_home(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine.bin / PLUGIN).unlink()
    assert complete("install") == 0
    assert (machine.home / ".local" / "bin" / NAME).read_text() == SCRIPT
    assert "is not on PATH" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_what_is_of_others_is_left_alone(machine: Machine, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    folder = machine.home / "bin"
    folder.mkdir()
    file, other = folder / NAME, machine.home / "other"
    if kind == "file":
        file.write_text("mine")
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(other)
        if kind == "link":
            other.write_text(SCRIPT.replace("exec", "# mine\nexec"))
    before = sorted((entry, entry.lstat().st_mtime_ns) for entry in machine.home.rglob("*"))
    assert complete("install", f"--to={folder}") == 2
    assert capsys.readouterr().err == (
        f"error: {file} is there already, and is not from `kubectl memdoctor completion install`: it is left alone\n"
    )
    assert sorted((entry, entry.lstat().st_mtime_ns) for entry in machine.home.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_told(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    folder = machine.bin / PLUGIN
    assert complete("install", "--to", str(folder)) == 2
    assert capsys.readouterr().err == (
        f"error: {folder / NAME} cannot be written: File exists; give another folder with --to\n"
    )


def test_a_folder_of_somebody_else_is_not_chosen(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    assert complete("install") == 0
    assert [entry.name for entry in machine.bin.iterdir()] == [PLUGIN]
    assert (machine.home / ".local" / "bin" / NAME).exists()


@pytest.mark.parametrize("arguments", [[], ["remove"], ["install", "print"], ["print", "--to", "x"], ["install", "-A"]])
def test_what_cannot_be_meant(machine: Machine, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert complete(*arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert list(machine.home.iterdir()) == []


def test_on_windows_it_says_what_to_do(
    machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for action in ("install", "print"):
        assert complete(action) == 2
        assert "kubectl_complete-memdoctor.cmd" in capsys.readouterr().err
    assert [entry.name for entry in machine.bin.iterdir()] == [PLUGIN]
