"""docs/examples is taken by the API server, and its service account may read all that the program asks for."""

from __future__ import annotations

from pathlib import Path

from .control_plane import ControlPlane
from .memdoctor import Shell
from .seeded import INCIDENT, Seeded
from .test_rbac import documented

EXAMPLE = Path(__file__).parents[2] / "docs/examples/cronjob.yaml"


def test_the_cron_job_may_look_at_everything(plane: ControlPlane, shell: Shell, seeded: Seeded) -> None:
    rights = plane.folder / "rights.yaml"
    rights.write_text(documented())
    assert shell.script(f"kubectl apply -f {rights}").code == 0
    # Nothing can be tried in a namespace that is not there.
    assert shell.script("kubectl create namespace memdoctor").code == 0
    for options in ("--dry-run=server", ""):
        applied = shell.script(f"kubectl apply --validate=strict {options} -f {EXAMPLE}")
        assert applied.code == 0, applied.err
        assert not [line for line in applied.err.splitlines() if "last-applied-configuration" not in line]
    account = ("--as", "system:serviceaccount:memdoctor:memdoctor", "--as-group", "system:authenticated")
    ran = shell.memdoctor("ns", "--all", "-o", "json", *account)
    assert ran.findings()[f"default/{INCIDENT}"]["rule"] == "sandbox-memory-limit-too-small"
    assert not [entry for entry in ran.report().get("notChecked", []) if entry["resource"] != "nodes/proxy"]
