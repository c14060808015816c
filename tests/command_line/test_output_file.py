"""--output-file holds what stdout shows, and is never seen half written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kubectl_memdoctor.cli import main

CASE = Path(__file__).parents[1] / "cases/container-oom-killed"
RECORDING = str(min(CASE.glob("fires-*.yaml")))


@pytest.mark.parametrize("output", ["table", "page", "json", "jsonl", "prometheus"])
def test_it_holds_what_stdout_shows(output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result"
    assert main(["ns", "-f", RECORDING, "-o", output, f"--output-file={file}"]) == 1
    assert file.read_text() == capsys.readouterr().out
    assert os.listdir(tmp_path) == ["result"]


def test_it_takes_the_place_of_the_file_before(tmp_path: Path) -> None:
    file = tmp_path / "result"
    file.write_text("of the run before\n" * 10_000)
    main(["ns", "-f", RECORDING, "-o", "name", f"--output-file={file}"])
    assert "of the run before" not in file.read_text()


def test_it_has_no_colours(tmp_path: Path) -> None:
    file = tmp_path / "result"
    main(["ns", "-f", RECORDING, "--color=always", f"--output-file={file}"])
    assert "\x1b" not in file.read_text()


def test_it_is_whole_where_nobody_reads_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, file = tmp_path / "whole", tmp_path / "result"
    main(["ns", "-f", RECORDING, "-o", "page", f"--output-file={whole}"])
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        main(["ns", "-f", RECORDING, "-o", "page", f"--output-file={file}"])
    assert file.read_text() == whole.read_text()


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "nosuch" / "result"
    assert main(["ns", "-f", RECORDING, f"--output-file={file}"]) == 2
    assert capsys.readouterr() == ("", f"error: open {file}: no such file or directory\n")
