"""Workflows and shell scripts: right as far as can be told without GitHub, with no more rights than they need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.go_programs import alone, go_build
from cluster.programs import CACHE, pinned_version

from .built import ROOT

ACTIONLINT = "github.com/rhysd/actionlint"
MODULE = Path(__file__).parent / "go/actionlint"
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SHEBANG = re.compile(rb"#!\s*/(?:usr/)?bin/(?:env )?bash\b")

on_every_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)


@pytest.fixture(scope="module")
def actionlint() -> Path:
    if shutil.which("go") is None:
        reason = "workflows are not looked at: Go is not installed"
        if os.environ.get("MEMDOCTOR_NO_SKIP"):
            pytest.fail(reason)
        pytest.skip(reason)
    file = CACHE / f"actionlint-{pinned_version(MODULE, ACTIONLINT)}" / "actionlint"
    with alone():
        if not file.is_file():
            go_build(MODULE, f"{ACTIONLINT}/cmd/actionlint", file)
    return file


def complaints(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def content(file: Path) -> Any:
    # YAML 1.1 takes the key `on` for true.
    return yaml.load(file.read_text(), yaml.BaseLoader)


def test_actionlint_has_no_complaint(actionlint: Path) -> None:
    assert complaints([str(actionlint), "-no-color", "-shellcheck", str(SHELLCHECK), *map(str, WORKFLOWS)]) == ""


def test_actionlint_would_complain(actionlint: Path, tmp_path: Path) -> None:
    file = tmp_path / "broken.yml"
    file.write_text("on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: 'echo $A'}]}}\n")
    assert "SC2086" in complaints([str(actionlint), "-no-color", "-shellcheck", str(SHELLCHECK), str(file)])


def test_shellcheck_has_no_complaint() -> None:
    """Scripts for bash: those of the virtual machine are for busybox, whose shell has more than POSIX."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    scripts = [name for name in listed.splitlines() if SHEBANG.match((ROOT / name).read_bytes()[:40])]
    assert ".ci/run" in scripts
    assert complaints([str(SHELLCHECK), *scripts]) == ""


@on_every_workflow
def test_rights_are_given_out_job_by_job(file: Path) -> None:
    workflow = content(file)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    writes = {name: job.get("permissions", {}) for name, job in workflow["jobs"].items()}
    assert "pull_request_target" not in workflow["on"]
    if "pull_request" in workflow["on"]:
        assert not any("write" in rights.values() for rights in writes.values())


@on_every_workflow
def test_no_secret_is_needed(file: Path) -> None:
    """The token that GitHub makes for each run, and trusted publishing, are enough."""
    assert "secrets." not in file.read_text()


@on_every_workflow
def test_no_checkout_leaves_its_token_behind(file: Path) -> None:
    steps = [step for job in content(file)["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


@on_every_workflow
def test_every_job_ends(file: Path) -> None:
    assert all("timeout-minutes" in job for job in content(file)["jobs"].values())


@on_every_workflow
def test_every_target_is_in_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"\brun: make ([a-z-]+)", file.read_text()))
    assert called
    assert called <= targets


def test_every_python_that_is_promised_is_tested() -> None:
    jobs = content(ROOT / ".github/workflows/test.yml")["jobs"]
    pythons = jobs["test"]["strategy"]["matrix"]["python"]
    (setup,) = (step for step in jobs["test-matrix"]["steps"] if "setup-python" in step.get("uses", ""))
    assert sorted(pythons) == sorted(setup["with"]["python-version"].split())
