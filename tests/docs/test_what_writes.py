"""What can write to a cluster is in few hands, as SECURITY.md says."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "kubectl_memdoctor"
WRITING = "kubectl_memdoctor.cluster.writing"


@cache
def written() -> tuple[tuple[str, ast.ImportFrom | ast.Constant], ...]:
    """Every `from` import and every constant of every file below the package, with the file's path."""
    return tuple(
        (path.relative_to(PACKAGE).as_posix(), node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Constant)
    )


def importers(module: str) -> set[str]:
    """The files that import it, wherever in them."""
    return {path for path, node in written() if isinstance(node, ast.ImportFrom) and node.module == module}


WRITERS = {
    "temporary": set[str](),
    "calibration": {"commands/calibrate.py"},
    "debugging": {"commands/calibrate.py", "debug_look.py"},
}
"""The packages that may write -> the files outside of all of them that import them."""


def outside(found: set[str]) -> set[str]:
    return {path for path in found if path.partition("/")[0] not in WRITERS}


def test_the_writer_is_imported_by_nothing_else() -> None:
    found = importers(WRITING)
    assert {path.partition("/")[0] for path in found} == {*WRITERS, "commands"}
    assert outside(found) == {"commands/calibrate.py"}


@pytest.mark.parametrize("package", sorted(WRITERS.keys() - {"temporary"}))
def test_what_writes_is_imported_by_nothing_else(package: str) -> None:
    modules = {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}
    found = {name for module in modules for name in importers(f"kubectl_memdoctor.{package}.{module}")}
    assert {name for name in found if not name.startswith(f"{package}/")} == WRITERS[package]


def test_other_methods_than_get_are_sent_by_nothing_else() -> None:
    verbs = ("POST", "PUT", "PATCH", "DELETE")
    senders = {path for path, node in written() if isinstance(node, ast.Constant) and node.value in verbs}
    assert senders == {"cluster/writing.py"}
