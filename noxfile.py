"""What users may have installed: `make test-matrix`, or `nox -s 'tests(kubernetes-31)'` for a part of it.

A Python that this machine has not got is skipped and named in the summary; on CI that is an error.
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
CLIENTS = ("kubernetes==31.*", "kubernetes==35.*", "kubernetes")
"""The oldest that setup.cfg allows, one between, and the newest."""
TOUCHES_DEPENDENCIES = (
    "tests/access",
    "tests/command_line",
    "tests/recording",
    "tests/docs/test_start.py",
    "tests/test_cases.py",
    "tests/test_decoders.py",
)
"""Where a library's behaviour shows; what is left of the suite is arithmetic and sentences."""

nox.options.default_venv_backend = "uv"


@nox.session(python=PYTHONS)
@nox.parametrize("client", CLIENTS, ids=("kubernetes-31", "kubernetes-35", "kubernetes-newest"))
def tests(session: nox.Session, client: str) -> None:
    """One Python with one client, and otherwise the newest of everything."""
    session.install(".[test]", client)
    _run(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The oldest Python with the lowest version of each dependency that setup.cfg allows."""
    # Only the program's own: how old a pytest may be is no promise to users.
    session.install("--resolution=lowest-direct", ".")
    lowest = session.run("uv", "pip", "freeze", silent=True)
    constraints = Path(session.create_tmp(), "lowest.txt")
    constraints.write_text("".join(f"{line}\n" for line in str(lowest).splitlines() if "==" in line))
    session.install("--constraint", str(constraints), ".[test]")
    _run(session)


def _run(session: nox.Session) -> None:
    session.run("pytest", "-q", *(session.posargs or TOUCHES_DEPENDENCIES))
