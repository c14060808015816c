"""The generated pages say what the code says today."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from .pages import DOCS


def generate(docs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(docs / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def copied(folder: Path) -> Path:
    """docs/ without what has been generated."""
    for path in [DOCS / "generate.py", DOCS / "output.md", *(DOCS / "generator").glob("*.py")]:
        copy = folder / path.relative_to(DOCS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder


def test_the_generated_pages_are_fresh() -> None:
    ran = generate(DOCS, "--check")
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


def test_stale_and_missing_pages_are_named_and_written_anew(tmp_path: Path) -> None:
    stale = ("rbac.md", "rules.md")
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs)
    (docs / "rules.md").write_text("of yesterday")
    (docs / "rbac.md").unlink()
    checked = generate(docs, "--check")
    assert (checked.returncode, checked.stdout) == (
        1,
        "".join(f"docs/{page} is stale: run make docs\n" for page in stale),
    )
    assert (docs / "rules.md").read_text() == "of yesterday"
    assert not (docs / "rbac.md").exists()
    assert generate(docs).stdout == "".join(f"docs/{page}\n" for page in stale)
    for page in stale:
        assert (docs / page).read_bytes() == (DOCS / page).read_bytes()


def test_a_field_that_output_md_does_not_tell_of_is_an_error(tmp_path: Path) -> None:
    docs = copied(tmp_path)
    page = docs / "output.md"
    page.write_text(page.read_text().replace("| `node?` |", "| `nodes?` |"))
    ran = generate(docs, "--check")
    assert ran.returncode == 1
    assert "the table of Finding does not fit its fields" in ran.stderr
