"""Listings of docker, crictl and nerdctl: the sandboxes of each pod counted, and whose each id is."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.container_listing import (
    ID_LETTERS,
    ListedContainer,
    listed_ids,
    read_docker_name,
    read_listing,
)
from kubectl_memdoctor.evidence.node_evidence import SandboxListing

from .recorded_lines import FIRST_SANDBOX, NAMESPACE, POD, SECOND_SANDBOX, UID, recorded

WEB_UID = "11111111-2222-4333-8444-555555555555"
NAME = f"k8s_POD_{POD}_{NAMESPACE}_{UID}_7"

FLOOD = SandboxListing(NAMESPACE, POD, UID, 5, {"Created": 5}, 400, "file")
WEB = SandboxListing("default", "web-0", WEB_UID, 2, {"Up": 1, "Exited": 1}, 1, "file")


def test_docker_ps() -> None:
    assert read_listing(recorded("listings/docker-ps-18.09.txt"), "file") == (FLOOD, WEB)


def rows_of_docker() -> list[str]:
    return recorded("listings/docker-ps-18.09.txt").splitlines()[1:]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(row for row in rows_of_docker() if "k8s_POD_cart" in row),
        "\n".join(" ".join(row.split()) for row in rows_of_docker() if "k8s_POD_cart" in row),
        "NAMES  STATUS\n" + "\n".join(f"k8s_POD_{POD}_{NAMESPACE}_{UID}_{400 - n}   Created" for n in range(5)),
        "\n".join(row.replace("5f1b7a3c9d2", "5f1b7a3c9d2" + "0" * 52) for row in rows_of_docker() if "cart" in row),
    ],
    ids=["what grep left", "spaces lost", "columns of one's own", "--no-trunc"],
)
def test_docker_ps_in_other_shapes(text: str) -> None:
    assert read_listing(text, "file") == (FLOOD,)


def test_crictl_pods() -> None:
    assert read_listing(recorded("listings/crictl-pods.txt"), "file", "node-1") == (
        SandboxListing(NAMESPACE, POD, "", 3, {"NotReady": 3}, 7, "file", "node-1"),
        SandboxListing("default", "web-0", "", 1, {"Ready": 1}, 0, "file", "node-1"),
    )


def test_nerdctl_ps() -> None:
    assert read_listing(recorded("listings/nerdctl-ps.txt")) == (
        SandboxListing("default", "web-0", "", 1, {"Up": 1}),
        SandboxListing(NAMESPACE, POD, "", 1, {"Exited": 1}),
    )


def test_crictl_ps_lists_no_sandboxes_but_names_ids() -> None:
    text = recorded("listings/crictl-ps.txt")
    assert read_listing(text) == ()
    assert listed_ids(text) == {
        "1a2b3c4d5e6f": ListedContainer("default", "web-0", "", "web"),
        "2a2b3c4d5e6f": ListedContainer("default", "web-0", "", "sidecar"),
        "e9f5994b1df4": ListedContainer("default", "web-0", "", "POD"),
    }


def sandbox(container_id: str, state: str, attempt: int) -> dict[str, object]:
    metadata = {"name": POD, "namespace": NAMESPACE, "uid": UID, "attempt": attempt}
    return {"id": container_id, "metadata": metadata, "state": state, "createdAt": "1", "runtimeHandler": ""}


PODS = {"items": [sandbox(FIRST_SANDBOX, "SANDBOX_READY", 2), sandbox(SECOND_SANDBOX, "SANDBOX_NOTREADY", 1)]}
CONTAINER = {
    "id": FIRST_SANDBOX,
    "podSandboxId": SECOND_SANDBOX,
    "metadata": {"name": "web", "attempt": 0},
    "state": "CONTAINER_EXITED",
    "labels": {
        "io.kubernetes.pod.name": POD,
        "io.kubernetes.pod.namespace": NAMESPACE,
        "io.kubernetes.pod.uid": UID,
    },
}


@pytest.mark.parametrize("text", [json.dumps(PODS), json.dumps(PODS, indent=2), yaml.safe_dump(PODS)])
def test_crictl_pods_as_json_and_yaml(text: str) -> None:
    listing = SandboxListing(NAMESPACE, POD, UID, 2, {"Ready": 1, "NotReady": 1}, 2)
    assert read_listing(text) == (listing,)
    assert set(listed_ids(text)) == {FIRST_SANDBOX[:ID_LETTERS], SECOND_SANDBOX[:ID_LETTERS]}


@pytest.mark.parametrize("text", [json.dumps({"containers": [CONTAINER]}), yaml.safe_dump({"containers": [CONTAINER]})])
def test_crictl_ps_as_json_and_yaml(text: str) -> None:
    assert read_listing(text) == ()
    assert listed_ids(text) == {
        FIRST_SANDBOX[:ID_LETTERS]: ListedContainer(NAMESPACE, POD, UID, "web"),
        SECOND_SANDBOX[:ID_LETTERS]: ListedContainer(NAMESPACE, POD, UID, "POD"),
    }


DOCKER = {"ID": FIRST_SANDBOX[:12], "Names": NAME, "State": "exited", "Status": "Exited (137) 2 minutes ago"}
API = {"Id": FIRST_SANDBOX, "Names": [f"/{NAME}"], "State": "exited", "Status": "Exited (137) 2 minutes ago"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DOCKER),
        "\n".join(json.dumps(entry) for entry in (DOCKER | {"ID": "b" * 12, "Names": "registry"}, DOCKER)),
        json.dumps([API]),
    ],
    ids=["one", "one a line", "docker's API"],
)
def test_docker_ps_as_json(text: str) -> None:
    assert read_listing(text) == (SandboxListing(NAMESPACE, POD, UID, 1, {"Exited": 1}, 7),)
    assert listed_ids(text) == {FIRST_SANDBOX[:12]: ListedContainer(NAMESPACE, POD, UID, "POD")}


def test_ids_of_docker_ps() -> None:
    found = listed_ids(recorded("listings/docker-ps-18.09.txt"))
    assert found["5f1b7a3c9d24"] == ListedContainer(NAMESPACE, POD, UID, "POD")
    assert found["a1b2c3d4e5f6"] == ListedContainer("default", "web-0", WEB_UID, "web")
    assert "c1b2c3d4e5f6" not in found


@pytest.mark.parametrize(
    ("name", "attempt"),
    [(NAME, 7), (f"/{NAME}", 7), (f"{NAME}_1a2b3c4d", 7), (NAME.removesuffix("7") + "x", None)],
)
def test_dockers_names(name: str, attempt: int | None) -> None:
    assert read_docker_name(name) == (ListedContainer(NAMESPACE, POD, UID, "POD"), attempt)


@pytest.mark.parametrize(
    "name", ["k8s_POD_a_b_c", "k8s_POD__b_c_0", "x_POD_a_b_c_0", "registry", "", "k8s_a_b_c_d_e_f_g"]
)
def test_names_that_are_not_kubernetes(name: str) -> None:
    assert read_docker_name(name) is None


NO_LISTING = (
    "",
    "\n" * 1000,
    "Nov 28 09:00:00 node-1 kernel: docker0: port 1(veth0) entered blocking state",
    f'time=x level=info msg="runSandbox: releasing container name: {NAME}" id=x name=y',
    "CONTAINER                           IMAGE                          RUNTIME\n"
    + "a" * 64
    + "  pause:3.9  io.containerd.runc.v2",
    json.dumps(
        {"items": [{"metadata": {"name": POD, "namespace": NAMESPACE}, "kind": "Pod", "status": {"phase": "Running"}}]}
    ),
    yaml.safe_dump({"items": [{"metadata": {"name": POD}, "kind": "Pod"}]}),
    "items: [" + "[" * 100_000,
    '{"items": [{"state": "SANDBOX_READY"',
    "POD ID names nothing by itself",
)


@pytest.mark.parametrize("text", NO_LISTING, ids=range(len(NO_LISTING)))
def test_what_is_no_listing(text: str) -> None:
    assert read_listing(text) is None
    assert listed_ids(text) == {}


def test_a_listing_of_nothing() -> None:
    assert read_listing("CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n") == ()
    assert read_listing("POD ID   CREATED   STATE   NAME   NAMESPACE   ATTEMPT   RUNTIME\n") == ()


HOSTILE = (
    "5f1b7a3c9d20 " + " " * 1_000_000,
    "5f1b7a3c9d20 " + "x ago " * 200_000,
    "5f1b7a3c9d20 2 minutes ago" + " " * 500_000 + "Ready" + " " * 500_000,
    '"' * 1_000_000,
    f"NAMES STATUS\n{'k8s_' * 250_000}",
    "k8s_a_b_c_d_0," * 70_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:30] for text in HOSTILE])
def test_hostile_lines_of_a_megabyte(text: str) -> None:
    """That this ends at all is the test: a pattern that went back and forth would take hours."""
    assert not read_listing(text)


words = st.sampled_from(
    [
        *rows_of_docker(),
        *recorded("listings/crictl-pods.txt").splitlines(),
        json.dumps(PODS),
        json.dumps(DOCKER),
        "\n",
        " ",
    ]
)


@given(st.lists(st.one_of(st.text(), words), max_size=6))
def test_no_pod_is_named_that_the_text_does_not_name(parts: list[str]) -> None:
    text = "".join(parts)
    named = {(entry.namespace, entry.name, entry.pod_uid) for entry in read_listing(text) or ()}
    named |= {(entry.namespace, entry.pod, entry.pod_uid) for entry in listed_ids(text).values()}
    assert all(part in text for names in named for part in names)
