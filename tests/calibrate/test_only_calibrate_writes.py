"""What can write to a cluster is in the hands of one command."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "kubectl_memdoctor"
WRITING = "kubectl_memdoctor.cluster.writing"


def importers(module: str) -> set[str]:
    """The files below the package that import it, wherever in them."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        if any(isinstance(node, ast.ImportFrom) and node.module == module for node in nodes):
            found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_the_writer_is_imported_by_nothing_else() -> None:
    found = importers(WRITING)
    assert "commands/calibrate.py" in found
    assert {name for name in found if not name.startswith("calibration/")} == {"commands/calibrate.py"}


def test_calibration_is_imported_by_nothing_else() -> None:
    modules = {path.stem for path in (PACKAGE / "calibration").glob("*.py")} - {"__init__"}
    found = {name for module in modules for name in importers(f"kubectl_memdoctor.calibration.{module}")}
    assert {name for name in found if not name.startswith("calibration/")} == {"commands/calibrate.py"}


def test_other_methods_than_get_are_sent_by_nothing_else() -> None:
    senders = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("POST", "PUT", "PATCH", "DELETE")
    }
    assert senders == {"cluster/writing.py"}
