"""The frozen program finds what the plain one finds."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from access.conftest import Stage
from test_cases import CASES, FLAGS, NODE_LOG, PATHS

from kubectl_memdoctor.commands import NAMES
from kubectl_memdoctor.rules import rules

from .conftest import PLAIN, run

RULES = [rule.name for rule in rules()]


def sampled() -> list[Path]:
    """Of each rule the first case that fires and the first that is silent."""
    return [
        next(path for path in PATHS if path.parent.name == rule and path.stem.startswith(kind))
        for rule in RULES
        for kind in ("fires-", "silent-")
    ]


@pytest.mark.parametrize("path", sampled(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_case_has_its_golden(path: Path, program: Path) -> None:
    second = path.read_text().split("\n", 2)[1]
    flags = second.removeprefix(FLAGS).split() if second.startswith(FLAGS) else []
    logs = [f"--node-log={log.name}" for log in sorted(path.parent.glob(f"{path.stem}{NODE_LOG}*"))]
    done = run(program, "ns", "--all", "-f", path.name, "-o", "json", *flags, *logs, cwd=path.parent)
    assert json.loads(done.out) == json.loads(path.with_suffix(".json").read_text())


CASE = CASES / "container-oom-killed" / "fires-init-container.yaml"
COMMANDS = [
    ["--help"],
    ["--version"],
    ["explain"],
    ["demo"],
    ["demo", "busybox-deploy-79798f5954-2qmls"],
    ["ns", "--all", "-f", str(CASE)],
    *(["ns", "--all", "-f", str(CASE), "-o", form] for form in ("wide", "page", "jsonl", "yaml", "name", "prometheus")),
    ["ns", "--all", "-f", "/nowhere.yaml"],
    ["nonsense"],
    *([name, "--help"] for name in NAMES),
    *(["explain", rule] for rule in RULES),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_it_prints_what_the_plain_program_prints(arguments: list[str], program: Path) -> None:
    assert run(program, *arguments) == run(*PLAIN, *arguments)


def test_gzipped_recordings_are_read(program: Path, tmp_path: Path) -> None:
    (tmp_path / "case.yaml.gz").write_bytes(gzip.compress(CASE.read_bytes()))
    done = run(program, "ns", "--all", "-f", "case.yaml.gz", "-o", "json", cwd=tmp_path)
    findings = json.loads(CASE.with_suffix(".json").read_text())["findings"]
    assert json.loads(done.out)["findings"] == findings


def test_a_cluster_is_asked_as_the_plain_program_asks(
    program: Path,
    stage: Stage,
    tmp_path: Path,
) -> None:
    """The whole way to a server over TLS, with what the trimmed client does for it."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    flags = [f"--server={stage.server}", f"--certificate-authority={stage.folder / 'ca.crt'}", "--token=t"]
    seen = []
    for command in ((program,), PLAIN):
        stage.recorder.clear()
        done = run(*command, "ns", "-n", "default", "-o", "json", *flags, environ=environ)
        assert done.code in (0, 1), done.err
        report = json.loads(done.out)
        asked = sorted((request.path, request.query) for request in stage.recorder.requests)
        seen.append((done.code, report["findings"], report["checked"], asked))
    assert seen[0][3]
    assert seen[0] == seen[1]
