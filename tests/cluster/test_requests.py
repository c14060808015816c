"""The API server's own audit log: memdoctor only reads, and never a secret; calibrate alone writes, by its own name."""

from __future__ import annotations

import re

from .api import Json
from .memdoctor import Shell
from .seeded import INCIDENT, OWNED, Seeded

CALIBRATE = "(calibrate)"
SEEN_IN_EVERY_RUN = {"pods", "events", "nodes", "limitranges", "runtimeclasses", "replicasets", "configmaps"}
SAVED_MINIMUM = "/api/v1/namespaces/kube-public/configmaps/memdoctor-sandbox-minimum"


KUBELETS = re.compile(r"/api/v1/nodes/[^/?]+/proxy/(?:metrics|metrics/cadvisor|stats/summary|logs/[\w.-]*)(?:\?|$)")
METRICS = "/apis/metrics.k8s.io/"


def resource(event: Json) -> str:
    return str(event.get("objectRef", {}).get("resource", event["requestURI"]))


def test_only_get_and_list_and_never_secrets(shell: Shell, seeded: Seeded) -> None:
    shell.memdoctor("ns", "--all")
    shell.memdoctor("pod", INCIDENT)
    shell.memdoctor("pod", *(pod["metadata"]["name"] for pod in seeded.owned.values()), "-n", OWNED)
    shell.memdoctor("pod", "deploy/cache", "-n", "shop")
    shell.memdoctor("ns", "nowhere")
    # Everything that the tests before this one made it ask for counts as well, but for the one command that writes.
    events = [event for event in shell.plane.audited("kubectl-memdoctor/") if CALIBRATE not in event["userAgent"]]
    assert {resource(event) for event in events} >= SEEN_IN_EVERY_RUN
    assert {event["verb"] for event in events} == {"get", "list"}
    assert not [event["requestURI"] for event in events if "secret" in event["requestURI"].lower()]
    beneath = {event["requestURI"] for event in events if event.get("objectRef", {}).get("subresource")}
    assert [uri for uri in beneath if not KUBELETS.match(uri)] == []
    assert {event["requestURI"] for event in events if resource(event) == "configmaps"} == {SAVED_MINIMUM}


def test_nothing_that_it_asks_for_fails_for_an_admin(shell: Shell, seeded: Seeded) -> None:
    before = len(shell.plane.audited("kubectl-memdoctor/"))
    shell.memdoctor("ns", "--all")
    shell.memdoctor("pod", INCIDENT)
    events = shell.plane.audited("kubectl-memdoctor/")[before:]
    assert events
    failed = {event["requestURI"]: event["responseStatus"]["code"] for event in events}
    # These nodes have no kubelet, and this cluster no metrics API.
    elsewhere = {uri: code for uri, code in failed.items() if not KUBELETS.match(uri) and METRICS not in uri}
    assert {uri: code for uri, code in elsewhere.items() if code != 200} == {SAVED_MINIMUM: 404}


def test_what_kubectl_asks_for_on_its_behalf_is_nothing(shell: Shell, seeded: Seeded) -> None:
    """`kubectl config view` is all that it runs kubectl for, and that asks no server."""
    before = len(shell.plane.audited("kubectl/"))
    shell.memdoctor("ns", "--all")
    assert len(shell.plane.audited("kubectl/")) == before
