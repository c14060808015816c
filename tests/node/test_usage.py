"""How much containers really use: by the kubelet, a real metrics-server and a real Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cluster.api import Api, Json, path
from cluster.memdoctor import Shell

from .cluster import NodeCluster
from .images import APP
from .meters import PROMETHEUS_URL, metrics_api, most_scraped, pods_measured, prometheus_of, wait_until
from .programs import Generation, generation

MEBIBYTE = 1 << 20
NEAR, KILLED = "near", "killed"
LIMIT = 64
EATEN = 60
LOWERED = 48
ATE_BEFORE = 40
"""What the killed container used before the bite that killed it."""


@pytest.fixture(scope="module")
def chosen(enclosed: None) -> Generation:
    """One is enough: what is measured does not depend on its age."""
    return generation("current")


@pytest.fixture(scope="module")
def eaters(api: Api, node: str) -> None:
    """Two replicas that stay near their limit, and one that is killed again and again; they end with the cluster."""
    _deploy(api, NEAR, f"exec eat {EATEN}", replicas=2)
    # Long enough for a kubelet that measures every ten seconds or so, and for scrapes.
    _deploy(api, KILLED, f"eat {ATE_BEFORE} & sleep 40; exec eat {LIMIT}", replicas=1)
    wait_until(lambda: len(_pods(api, NEAR)) == 2 and all(map(_is_running, _pods(api, NEAR))))


def _deploy(api: Api, name: str, script: str, replicas: int) -> None:
    resources = {"limits": {"memory": f"{LIMIT}Mi"}, "requests": {"cpu": "1m", "memory": "8Mi"}}
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "runtimeClassName": "runc",
        "containers": [{"name": "app", "image": APP, "command": ["sh", "-c", script], "resources": resources}],
    }
    api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
            },
        }
    )


def _pods(api: Api, app: str) -> list[Json]:
    return [pod for pod in api.items("v1", "Pod", "default") if pod["metadata"]["labels"].get("app") == app]


def _is_running(pod: Json) -> bool:
    return bool(pod["status"]["phase"] == "Running")


def _is_killed(pod: Json) -> bool:
    statuses = pod["status"].get("containerStatuses", [])
    return any(status["lastState"].get("terminated", {}).get("reason") == "OOMKilled" for status in statuses)


def _near(shell: Shell, *flags: str) -> list[Json]:
    report = shell.memdoctor("ns", "--near-limit=85%", "-o", "json", *flags).report()
    return [finding for finding in report["findings"] if finding["rule"] == "container-memory-near-limit"]


def _bytes(finding: Json, source: str) -> list[int]:
    """The amounts of one source's evidence: `58Mi (61865984 bytes)`."""
    values = [entry["value"] for entry in finding["evidence"] if entry["source"] == source]
    return [int(value.partition("(")[2].split()[0]) for value in values if value.endswith(" bytes)")]


def test_without_a_metrics_api_it_was_not_checked(shell: Shell, eaters: None) -> None:
    ran = shell.memdoctor("ns", "--near-limit=85%", "-o", "json")
    reasons = {entry["resource"]: entry["reason"] for entry in ran.report()["notChecked"]}
    assert reasons["pods.metrics.k8s.io"].startswith("not served: ")
    assert "pods.metrics.k8s.io" not in {
        entry["resource"] for entry in shell.memdoctor("ns", "-o", "json").report()["notChecked"]
    }


def test_kubelets_tell_who_is_near_the_limit(shell: Shell, api: Api, eaters: None) -> None:
    found: list[Json] = []

    def both() -> bool:
        found[:] = _near(shell, "--node-evidence")
        return len(found) == 2

    wait_until(both)
    assert {finding["involvedObject"]["name"] for finding in found} == _names(api, NEAR)
    for finding in found:
        assert all(EATEN * MEBIBYTE <= used <= LIMIT * MEBIBYTE for used in _bytes(finding, "kubelet"))


def _names(api: Api, app: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in _pods(api, app)}


@pytest.fixture(scope="module")
def metrics(cluster: NodeCluster, api: Api, eaters: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with metrics_api(cluster.plane, tmp_path_factory.mktemp("metrics-server")):
        wait_until(lambda: _names(api, NEAR) <= pods_measured(api))
        yield


@pytest.fixture(scope="module")
def scraped(
    cluster: NodeCluster, api: Api, node: str, eaters: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with prometheus_of(cluster.plane, node, tmp_path_factory.mktemp("prometheus")):
        wait_until(lambda: _saw(api, NEAR, EATEN) and _saw(api, KILLED, ATE_BEFORE))
        yield


def _saw(api: Api, app: str, mebibytes: int) -> bool:
    """Whether Prometheus saw each pod use so much."""
    seen = most_scraped()
    return all(seen.get(name, 0) >= mebibytes * MEBIBYTE for name in _names(api, app))


def test_the_metrics_api_tells_who_is_near_the_limit(shell: Shell, api: Api, metrics: None) -> None:
    found = _near(shell)
    assert {finding["involvedObject"]["name"] for finding in found} == _names(api, NEAR)
    for finding in found:
        assert (finding["severity"], finding["owner"]["name"]) == ("info", NEAR)
        assert finding["details"][0].startswith("[#########-] 9")
        amounts = _bytes(finding, "metrics")
        assert amounts
        assert all(EATEN * MEBIBYTE <= used <= LIMIT * MEBIBYTE for used in amounts)
        assert "of 2 pods" in " ".join(finding["details"])


@pytest.mark.parametrize("where", [PROMETHEUS_URL, "auto"])
def test_prometheus_tells_what_was_used_before_the_kill(
    shell: Shell, api: Api, metrics: None, scraped: None, where: str
) -> None:
    wait_until(lambda: all(map(_is_killed, _pods(api, KILLED))))
    finding = _killed(shell, KILLED, where)
    (most, usual) = _bytes(finding, "metrics")[-2:]
    assert ATE_BEFORE * MEBIBYTE <= most <= LIMIT * MEBIBYTE
    assert 0 < usual <= most
    assert finding["remedy"]["text"].endswith("is no more than that, so the real peak is not known.")
    assert any(sentence.startswith("Prometheus saw at most ") for sentence in finding["details"])
    assert any(sentence.startswith("Prometheus has nothing of it from before ") for sentence in finding["details"])


def _killed(shell: Shell, name: str, where: str) -> Json:
    report = shell.memdoctor("pod", f"deploy/{name}", "--prometheus", where, "-o", "json").report()
    assert not [entry for entry in report["notChecked"] if entry["resource"] in ("prometheus", "pods.metrics.k8s.io")]
    killed: list[Json] = [entry for entry in report["findings"] if entry["rule"] == "container-oom-killed"]
    assert killed
    return killed[0]


def test_a_limit_that_was_lowered_too_far_is_raised_by_what_was_used_before(
    shell: Shell, api: Api, metrics: None, scraped: None
) -> None:
    container = {"name": "app", "resources": {"limits": {"memory": f"{LOWERED}Mi"}}}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    target = path("apps/v1", "Deployment", "default", NEAR)
    api.call("PATCH", target, patch, "application/strategic-merge-patch+json")
    wait_until(lambda: any(map(_is_killed, _pods(api, NEAR))))
    finding = _killed(shell, NEAR, "auto")
    assert finding["memory"]["limitQuantity"] == f"{LOWERED}Mi"
    (change,) = finding["remedy"]["changes"]
    assert change["limit"] == "96Mi"
    assert re.search(r"96Mi: the peak of 6\dMi over \d pods in the last \S+ \(Prometheus\)", finding["remedy"]["text"])
