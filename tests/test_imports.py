"""Imports go one way: by the table of layers in docs/architecture.md, and each dependency only where it says."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "kubectl_memdoctor"
PAGE = ROOT / "docs" / "architecture.md"
VAGUE = {"utils", "helpers", "common", "core", "base", "util", "helper", "misc"}
IMPORTED_AS = {"PyYAML": "yaml", "PySocks": "socks", "protobuf": "google"}
"""Dependencies whose modules have another name."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of every module of the package."""
    return {_dotted(path): path for path in (ROOT / PACKAGE).rglob("*.py")}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports() -> dict[str, frozenset[str]]:
    """Module -> what it imports, anywhere in it: dotted names."""
    return {name: frozenset(_imported(name, path)) for name, path in modules().items()}


def _imported(name: str, path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else str(node.module)


def top_of(name: str) -> str:
    """`kubectl_memdoctor.rules.pod_oom_killed` -> `rules`; the package itself is its own."""
    return name.split(".")[1] if "." in name else name


def table(first_header: str) -> list[list[str]]:
    """The rows of a table of the page, cell by cell."""
    text = PAGE.read_text()
    start = text.index(f"| {first_header} |")
    rows = text[start:].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@cache
def layers() -> dict[str, tuple[set[str], set[str]]]:
    """Layer -> its modules, and the layers that it may use."""
    return {
        name: (set(re.findall(r"`(\w+)`", held)), {entry.strip() for entry in uses.split(",") if entry.strip()})
        for name, held, uses in table("layer")
    }


@cache
def layer_of() -> dict[str, str]:
    return {module: name for name, (held, _) in layers().items() for module in held}


def test_layers_use_only_layers_above_them_in_the_table() -> None:
    seen: set[str] = set()
    for name, (held, uses) in layers().items():
        assert held
        assert uses <= seen
        seen.add(name)


def test_every_module_is_in_one_layer() -> None:
    entered = [module for held, _ in layers().values() for module in held]
    assert sorted(entered) == sorted({top_of(name) for name in modules()} - {PACKAGE})


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_its_own_layer_and_those_it_uses(name: str) -> None:
    if name == PACKAGE:
        assert imports()[name] == {"__future__"} or not imports()[name]
        return
    own = layer_of()[top_of(name)]
    allowed = {own, *layers()[own][1]}
    inside = {entry for entry in imports()[name] if entry.split(".")[0] == PACKAGE and entry != PACKAGE}
    assert {entry for entry in inside if layer_of()[top_of(entry)] not in allowed} == set()


@pytest.mark.parametrize("name", sorted(name for name in modules() if top_of(name) == "rules"))
def test_rules_reach_no_cluster(name: str) -> None:
    """Not even by way of others."""
    reached, waiting = set(), [name]
    while waiting:
        entry = waiting.pop()
        if entry in imports() and entry not in reached:
            reached.add(entry)
            waiting += imports()[entry]
    assert {top_of(entry) for entry in reached} & {"cluster", "reading", "diagnosis", "printers", "commands"} == set()
    outside = {entry.split(".")[0] for module in reached for entry in imports()[module]}
    assert outside & {"kubernetes", "urllib3", "socket", "subprocess", "requests", "time", "random"} == set()


def test_dependencies_are_imported_only_where_the_page_says() -> None:
    told = {
        IMPORTED_AS.get(name.strip("`"), name.strip("`")): set(re.findall(r"`(\w+)`", where))
        for name, where, _ in table("dependency")
    }
    everywhere = {name for name, where, _ in table("dependency") if where == "everywhere"}
    found: dict[str, set[str]] = {}
    for module, imported in imports().items():
        for entry in {entry.split(".")[0] for entry in imported} - {PACKAGE, "__future__"} - sys.stdlib_module_names:
            found.setdefault(entry, set()).add(top_of(module))
    assert found.keys() <= told.keys()
    for name, where in told.items():
        if f"`{name}`" not in everywhere:
            assert found.get(name, set()) == where, name


def test_dependencies_are_those_of_the_page() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = {re.split(r"[><=~! ]", line)[0] for line in setup["options"]["install_requires"].split()}
    told = {name.strip("`") for name, _, _ in table("dependency")}
    assert told - {"urllib3"} == required - {"urllib3"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    every = [path for folder in (PACKAGE, "tests", "bench", "docs") for path in (ROOT / folder).rglob("*.py")]
    names = {part for path in every for part in path.relative_to(ROOT).with_suffix("").parts}
    assert names & VAGUE == set()
