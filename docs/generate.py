"""Writes the pages of docs/ that say what the code says already: `make docs`.

`python docs/generate.py --check` writes nothing, names the pages that are stale and ends with 1 if there are any.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from generator import cli, man, rbac, report_schema, rules, sandbox_minimum

DOCS = Path(__file__).parent
PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli.page,
    "man/kubectl-memdoctor.1": man.page,
    "rbac.md": rbac.page,
    "report.schema.json": lambda: report_schema.page((DOCS / "output.md").read_text(encoding="utf-8")),
    "rules.md": rules.page,
    "sandbox-minimum.md": sandbox_minimum.page,
    "sandbox-minimum.svg": sandbox_minimum.spans_chart,
    "sandbox-minimum-cpus.svg": sandbox_minimum.cpus_chart,
}


def main(arguments: Sequence[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: python docs/generate.py [--check]", file=sys.stderr)
        return 2
    stale = [name for name, page in PAGES.items() if _written(DOCS / name) != page()]
    for name in stale:
        print(f"docs/{name} is stale: run make docs" if arguments else f"docs/{name}")
        if not arguments:
            (DOCS / name).parent.mkdir(exist_ok=True)
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    return 1 if stale and arguments else 0


def _written(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
