"""Runs memdoctor as a person does: through kubectl, which finds it as its plugin on PATH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jsonschema

from .api import Json
from .control_plane import ControlPlane

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
PROGRAMS = ("kubectl-memdoctor", "kubectl_complete-memdoctor")


@dataclass(frozen=True, slots=True)
class Ran:
    """One run's exit code and output."""

    code: int
    out: str
    err: str

    def json(self) -> Json:
        assert self.out, self.err
        content: Json = json.loads(self.out)
        return content

    def report(self) -> Json:
        """memdoctor's report, which is what its schema promises."""
        report = self.json()
        jsonschema.validate(report, json.loads(SCHEMA.read_text()))
        return report

    def findings(self) -> dict[str, Json]:
        """The only finding of each object that has one: `namespace/name` -> the finding."""
        found: dict[str, Json] = {}
        for finding in self.report()["findings"]:
            involved = finding["involvedObject"]
            key = f"{involved.get('namespace', '')}/{involved['name']}"
            assert key not in found, f"{key}: {found[key]['rule']} and {finding['rule']}"
            found[key] = finding
        return found


@dataclass(frozen=True, slots=True)
class Shell:
    """A person's shell on one cluster."""

    plane: ControlPlane
    bin: Path

    def environ(self, user: str, namespace: str) -> dict[str, str]:
        return {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.plane.folder),
            "KUBECONFIG": str(self.plane.kubeconfig(user, namespace)),
        }

    def memdoctor(self, *arguments: str, user: str = "admin", namespace: str = "default") -> Ran:
        return self.run(["kubectl", "memdoctor", *arguments], user, namespace)

    def script(self, command: str, user: str = "admin", namespace: str = "default") -> Ran:
        """A command as it is pasted; any part of a pipeline that fails makes it fail."""
        return self.run(["bash", "-e", "-o", "pipefail", "-c", command], user, namespace)

    def run(self, command: list[str], user: str, namespace: str) -> Ran:
        done = subprocess.run(
            command, env=self.environ(user, namespace), capture_output=True, text=True, check=False, timeout=120
        )
        return Ran(done.returncode, done.stdout, done.stderr)


def new_shell(plane: ControlPlane, folder: Path) -> Shell:
    """`folder` becomes the first on PATH."""
    (folder / "kubectl").symlink_to(plane.programs.kubectl)
    for name in PROGRAMS:
        program = Path(sys.executable).with_name(name)
        plugin = program if program.is_file() else shutil.which(name)
        assert plugin, f"{name} is not installed beside this Python"
        (folder / name).symlink_to(plugin)
    return Shell(plane, folder)
