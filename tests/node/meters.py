"""What measures use in a cluster: a metrics-server behind the API server, and a Prometheus that scrapes a node.

Both run beside the control plane rather than in pods, so that no pod's use is theirs.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import urllib3
from cluster.api import Api, Json, Refused
from cluster.control_plane import ADMIN, ControlPlane, running, token

from .enclosure import NODE_ADDRESS, PLANE_ADDRESS
from .pods import pod
from .programs import metrics_server, prometheus

READY_SECONDS = 180.0
METRICS_PORT = 10443
PROMETHEUS_PORT = 9090
PROMETHEUS_URL = f"http://{NODE_ADDRESS}:{PROMETHEUS_PORT}"
MONITORING = "monitoring"
SCRAPE_SECONDS = 5


@contextlib.contextmanager
def metrics_api(plane: ControlPlane, folder: Path) -> Iterator[None]:
    """metrics.k8s.io is served, and knows of pods, until the block is left."""
    kubeconfig = plane.kubeconfig()
    command = [
        str(metrics_server()),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={PLANE_ADDRESS}",
        f"--secure-port={METRICS_PORT}",
        f"--cert-dir={folder}",
        "--kubelet-insecure-tls",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-request-timeout=5s",
        "--metric-resolution=10s",
    ]
    api = plane.api()
    with running(folder, command):
        # An external name is reached without a proxy for cluster addresses, which nothing here is.
        spec = {"type": "ExternalName", "externalName": PLANE_ADDRESS, "ports": [{"port": METRICS_PORT}]}
        service = _create(api, "/api/v1/namespaces/kube-system/services", _service("metrics-server", spec))
        registered = _create(api, "/apis/apiregistration.k8s.io/v1/apiservices", _api_service())
        try:
            _wait_for(folder / "metrics-server.log", lambda: bool(_pod_metrics(api)))
            yield
        finally:
            api.call("DELETE", registered)
            api.call("DELETE", service)


def _service(name: str, spec: Json, **labels: str) -> Json:
    meta = {"name": name, "labels": {key.replace("__", "/").replace("_", "."): text for key, text in labels.items()}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def _api_service() -> Json:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "metrics-server", "namespace": "kube-system", "port": METRICS_PORT},
        },
    }


def _create(api: Api, collection: str, body: Json) -> str:
    """The path of what was made."""
    api.call("POST", collection, body)
    return f"{collection}/{body['metadata']['name']}"


def _pod_metrics(api: Api) -> list[Json]:
    with contextlib.suppress(Refused, json.JSONDecodeError):
        found: list[Json] = api.call("GET", "/apis/metrics.k8s.io/v1beta1/pods")["items"]
        return found
    return []


def pods_measured(api: Api) -> set[str]:
    """The names of the pods that the metrics API knows."""
    return {entry["metadata"]["name"] for entry in _pod_metrics(api)}


@contextlib.contextmanager
def prometheus_of(plane: ControlPlane, node: str, folder: Path) -> Iterator[None]:
    """A Prometheus at PROMETHEUS_URL and behind a service, which scrapes the node's cAdvisor through the API server.

    The API server forwards to pods only: one in the node's own network stands for the program beside it.
    """
    config = folder / "prometheus.json"
    config.write_text(json.dumps(_scraping(plane, node)))
    command = [
        str(prometheus()),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={NODE_ADDRESS}:{PROMETHEUS_PORT}",
    ]
    api = plane.api()
    with running(folder, command):
        _create(api, "/api/v1/namespaces", {"metadata": {"name": MONITORING}})
        labels = {"app": "prometheus"}
        ports = [{"name": "web", "port": PROMETHEUS_PORT}]
        service = _service("prometheus", {"ports": ports, "selector": labels}, app_kubernetes_io__name="prometheus")
        _create(api, f"/api/v1/namespaces/{MONITORING}/services", service)
        stand_in = pod("prometheus", node=node, memory=None)
        stand_in["metadata"] = {"name": "prometheus", "namespace": MONITORING, "labels": labels}
        stand_in["spec"]["hostNetwork"] = True
        wait_until(lambda: _is_made(api, stand_in))
        proxy = f"/api/v1/namespaces/{MONITORING}/services/prometheus:web/proxy/-/ready"
        _wait_for(folder / "prometheus.log", lambda: api.raw(proxy).status == 200)
        yield


def _is_made(api: Api, wanted: Json) -> bool:
    """Not before the namespace has its service account."""
    with contextlib.suppress(Refused):
        api.create(wanted)
        return True
    return False


def _scraping(plane: ControlPlane, node: str) -> Json:
    credentials = plane.folder / "prometheus-token"
    credentials.write_text(token(ADMIN))
    job = {
        "job_name": "cadvisor",
        "scheme": "https",
        "metrics_path": f"/api/v1/nodes/{node}/proxy/metrics/cadvisor",
        "authorization": {"credentials_file": str(credentials)},
        "tls_config": {"ca_file": str(plane.authority_file)},
        "static_configs": [{"targets": [urlsplit(plane.server).netloc]}],
    }
    return {"global": {"scrape_interval": f"{SCRAPE_SECONDS}s"}, "scrape_configs": [job]}


def most_scraped() -> dict[str, int]:
    """Pod -> the most that Prometheus has seen it use, in bytes."""
    query = urlencode({"query": 'max by (pod) (max_over_time(container_memory_working_set_bytes{container!=""}[1h]))'})
    answer = urllib3.request("GET", f"{PROMETHEUS_URL}/api/v1/query?{query}").json()
    return {series["metric"]["pod"]: int(series["value"][1]) for series in answer["data"]["result"]}


def wait_until(met: Callable[[], bool]) -> None:
    """Raises AssertionError."""
    deadline = time.monotonic() + READY_SECONDS
    while not met():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.5)


def _wait_for(log: Path, met: Callable[[], bool]) -> None:
    """Raises AssertionError with the end of the log."""
    try:
        wait_until(met)
    except AssertionError as error:
        error.add_note(log.read_text(errors="replace")[-3000:])
        raise
