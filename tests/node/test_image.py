"""The container image in pods of a real node: by a schedule, as nobody, with a read-only root and a service account."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from cluster.api import Api, Json, path
from cluster.memdoctor import SCHEMA, Ran, Shell

from image.build import reference
from kubectl_memdoctor import __version__

from .cluster import NodeCluster
from .images import APP
from .pods import delete, pod, wait_for
from .programs import prometheus

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "dist" / f"kubectl-memdoctor-image_{__version__}_linux_amd64.tar"
EXAMPLE = ROOT / "docs/examples/cronjob.yaml"
RIGHTS = ROOT / "docs/rbac.md"
NAMESPACE = "memdoctor"
EATS = ("/bin/eat", "128")


@pytest.fixture(scope="module")
def installed(cluster: NodeCluster, node: str, shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The image on the node, and what a person applies, first as the server alone would have it."""
    if not ARCHIVE.is_file():
        pytest.fail(f"{ARCHIVE} is not there: run `make image`")
    cluster.node(node).import_image(str(ARCHIVE), reference(__version__))
    role = tmp_path_factory.mktemp("rights") / "cluster-role.yaml"
    role.write_text(RIGHTS.read_text().split("```yaml\n")[1].split("```")[0])
    shell.script(f"kubectl create namespace {NAMESPACE}")
    for options in ("--dry-run=server", ""):
        applied = shell.script(f"kubectl apply {options} -f {role} -f {EXAMPLE} 2>&1")
        assert applied.code == 0, applied.out


@pytest.fixture(scope="module")
def killed(api: Api, node: str) -> Iterator[None]:
    """A pod whose container takes twice its limit, once."""
    wanted = pod("eats", node=node, command=EATS)
    wanted["spec"]["restartPolicy"] = "Never"
    created = api.create(wanted)
    wait_for(api, created, lambda found: found["status"]["phase"] == "Failed")
    yield
    delete(api, created)


def run_job(cluster: NodeCluster, shell: Shell, name: str, *arguments: str) -> Json:
    """The schedule's job, run now; with arguments, these in the place of the example's. It has ended when it returns.

    What the test node lacks has a stand-in: the address of the API server's service, and the image that pushes.
    """
    made = shell.script(f"kubectl -n {NAMESPACE} create job {name} --from=cronjob/memdoctor --dry-run=client -o json")
    job = made.json()
    spec = job["spec"]["template"]["spec"]
    (looks,), (pushes,) = spec["initContainers"], spec["containers"]
    server = urlsplit(cluster.plane.server)
    looks["env"] = [
        {"name": "KUBERNETES_SERVICE_HOST", "value": server.hostname},
        {"name": "KUBERNETES_SERVICE_PORT", "value": str(server.port)},
    ]
    looks["args"] = list(arguments) or looks["args"]
    pushes |= {"image": APP, "imagePullPolicy": "IfNotPresent", "command": ["cat"]}
    pushes["args"] = ["/dev/null"] if arguments else [pushes["args"][-2]]
    api = cluster.plane.api()
    api.create(job)
    ended = wait_for(api, job, lambda found: found["status"].get("succeeded") or found["status"].get("failed"))
    assert ended["status"].get("succeeded"), [log(shell, name, each["name"]) for each in (looks, pushes)]
    return job


def log(shell: Shell, name: str, container: str) -> Ran:
    return shell.script(f"kubectl -n {NAMESPACE} logs job/{name} -c {container}")


def test_the_schedule_pushes_metrics(cluster: NodeCluster, shell: Shell, installed: None, killed: None) -> None:
    run_job(cluster, shell, "metrics")
    pushed = log(shell, "metrics", "push").out
    checked = subprocess.run(
        [prometheus().with_name("promtool"), "check", "metrics"],
        input=pushed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert 'rule="container-oom-killed"' in pushed
    assert "memdoctor_complete 1\n" in pushed
    assert log(shell, "metrics", "memdoctor").out == pushed


def test_the_rights_are_enough_for_a_report(cluster: NodeCluster, shell: Shell, installed: None, killed: None) -> None:
    run_job(cluster, shell, "report", "ns", "--all", "--output=json", "--fail-on=never")
    report = json.loads(log(shell, "report", "memdoctor").out)
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert "container-oom-killed" in {finding["rule"] for finding in report["findings"]}
    assert [entry for entry in report.get("notChecked", []) if entry["reason"].startswith("forbidden")] == []


def test_pods_run_restricted(api: Api, installed: None) -> None:
    """The namespace refuses what is not."""
    namespace = api.call("GET", path("v1", "Namespace", name=NAMESPACE))
    (example,) = [entry for entry in yaml.safe_load_all(EXAMPLE.read_text()) if entry["kind"] == "Namespace"]
    assert example["metadata"]["labels"].items() <= namespace["metadata"]["labels"].items()
