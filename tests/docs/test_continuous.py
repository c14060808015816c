"""The manifests of docs/continuous.md, its example and docs/scale.md are whole and fit together; metrics exist."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from image.build import reference
from kubectl_memdoctor import __version__
from kubectl_memdoctor.commands import command
from kubectl_memdoctor.flags import OUTPUT, OUTPUT_FILE, parse, refuse_others

from .pages import DOCS
from .test_rights import objects as rights

CRON_JOB = DOCS / "examples/cronjob.yaml"
PAGES = ("continuous.md", "scale.md")
METRIC = re.compile(r"\bmemdoctor_[a-z_]+\b")


def blocks(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def objects() -> dict[str, Any]:
    """Kind and name -> object."""
    texts = [CRON_JOB.read_text(), *blocks("continuous.md")]
    found = [entry for text in texts for entry in yaml.safe_load_all(text)]
    return {f"{entry['kind']}/{entry['metadata']['name']}": entry for entry in found}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_yaml(page: str) -> None:
    assert blocks(page)
    assert all(entry for block in blocks(page) for entry in yaml.safe_load_all(block))


def test_rights_are_those_of_the_other_page() -> None:
    binding = objects()["ClusterRoleBinding/memdoctor-continuous"]
    assert binding["roleRef"]["name"] in {role["metadata"]["name"] for role in rights("ClusterRole")}
    (subject,) = binding["subjects"]
    assert f"{subject['kind']}/{subject['name']}" in objects()
    assert pod_of(objects()["CronJob/memdoctor"])["serviceAccountName"] == subject["name"]


def pod_of(workload: Any) -> Any:
    job = workload["spec"].get("jobTemplate", workload)
    return job["spec"]["template"]["spec"]


def test_the_command_is_taken_as_it_stands() -> None:
    (container,) = pod_of(objects()["CronJob/memdoctor"])["initContainers"]
    parsed = parse(container["args"])
    refuse_others(parsed, command("ns").page.flags, "ns")
    assert parsed.words == ("ns",)
    assert parsed.text(OUTPUT) == "prometheus"


def test_the_image_is_this_version() -> None:
    (container,) = pod_of(objects()["CronJob/memdoctor"])["initContainers"]
    assert container["image"] == reference(__version__)


def test_what_is_written_is_pushed() -> None:
    pod = pod_of(objects()["CronJob/memdoctor"])
    (writes,), (pushes,) = pod["initContainers"], pod["containers"]
    assert parse(writes["args"]).text(OUTPUT_FILE) in pushes["args"]
    assert [mount["mountPath"] for mount in writes["volumeMounts"] + pushes["volumeMounts"]] == ["/metrics"] * 2


def test_what_is_pushed_is_scraped() -> None:
    found = objects()
    service, monitor = found["Service/pushgateway"], found["ServiceMonitor/memdoctor"]
    (port,) = service["spec"]["ports"]
    (container,) = pod_of(found["CronJob/memdoctor"])["containers"]
    metadata = service["metadata"]
    assert f"http://{metadata['name']}.{metadata['namespace']}.svc:{port['port']}/metrics/job/" in container["args"][-1]
    assert monitor["spec"]["selector"]["matchLabels"] == metadata["labels"]
    assert monitor["spec"]["endpoints"][0]["port"] == port["name"]
    assert service["spec"]["selector"] == found["Deployment/pushgateway"]["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("name", ["CronJob/memdoctor", "Deployment/pushgateway"])
def test_pods_are_restricted(name: str) -> None:
    """As the pod security standard of that name demands."""
    pod = pod_of(objects()[name])
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("page", ["continuous.md", "scale.md", "output.md"])
def test_metrics_that_pages_name_are_printed(page: str) -> None:
    printed = set(
        re.findall(r'_metric\(\s*"(\w+)"', (DOCS.parent / "kubectl_memdoctor/printers/prometheus.py").read_text())
    )
    named = {name.removeprefix("memdoctor_") for name in METRIC.findall((DOCS / page).read_text())} - {""}
    assert named
    assert named <= printed
    if page == "output.md":
        assert named == printed
