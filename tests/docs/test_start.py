"""What answers at once imports nothing heavy, and a recording needs no client."""

from __future__ import annotations

import json
import subprocess
import sys

from .pages import ROOT

CASE = ROOT / "tests" / "cases" / "container-oom-killed" / "fires-init-container.yaml"
OF_RUNS = ("kubernetes", "urllib3", "tabulate", "wcwidth", "yaml")
HEAVY = (*OF_RUNS, "msgspec", "dataclasses")
AT_ONCE = (*HEAVY, "shutil", "traceback", "difflib", "subprocess")
RUNS = {
    "--version": (["--version"], AT_ONCE),
    "version": (["version"], AT_ONCE),
    "--help": (["--help"], HEAVY),
    "ns --help": (["ns", "--help"], HEAVY),
    "TAB: a command": (["__complete", "po"], HEAVY),
    "TAB: a flag": (["__complete", "pod", "--"], HEAVY),
    "TAB: a value": (["__complete", "pod", "-o", ""], HEAVY),
    "TAB: a rule": (["__complete", "explain", ""], (*HEAVY, "kubectl_memdoctor.context")),
    "TAB: a file": (["__complete", "logs", ""], HEAVY),
    "explain": (["explain"], OF_RUNS),
    "explain RULE": (["explain", "container-oom-killed"], OF_RUNS),
    "ns -f": (["ns", "--all", "-f", str(CASE)], ("kubernetes", "urllib3")),
}
PROGRAM = """
import contextlib, io, json, sys
there = set(sys.modules)
from kubectl_memdoctor.cli import main
found = {}
for name, (arguments, heavy) in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        code = main(arguments)
    found[name] = [code, bool(out.getvalue()), sorted((set(heavy) & set(sys.modules)) - there)]
json.dump(found, sys.stdout)
"""


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    """One process runs all, the lightest first, so that nothing is there already."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=json.dumps(RUNS), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found == {name: [1 if name == "ns -f" else 0, True, []] for name in RUNS}
