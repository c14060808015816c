from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.node_evidence import ContainerUsage
from kubectl_memdoctor.evidence.stats_summary import read_summary

UID = "0b5c1b9e-7a54-4b43-9a0e-3f1c2d4e5f60"
TIME = "2026-11-28T08:00:00Z"


def memory(working_set: object, time: object = TIME) -> dict[str, Any]:
    return {"time": time, "workingSetBytes": working_set, "usageBytes": 1, "rssBytes": 2, "pageFaults": 3}


def summary(*containers: dict[str, Any], **pod: Any) -> dict[str, Any]:
    reference = {"name": "web-1", "namespace": "shop", "uid": UID}
    return {
        "node": {"nodeName": "worker-1", "startTime": TIME, "cpu": {}, "memory": memory(3_000_000_000)},
        "pods": [{"podRef": reference, "startTime": TIME, "containers": containers, **pod}],
    }


def read(content: object, node: str = "") -> tuple[ContainerUsage, ...]:
    return read_summary(json.dumps(content).encode(), node).usages


def test_node_pod_and_containers() -> None:
    found = read(summary({"name": "app", "memory": memory(67_108_864)}, memory=memory(70_000_000)))
    assert [(each.namespace, each.pod, each.container, each.working_set_bytes) for each in found] == [
        ("", "", "", 3_000_000_000),
        ("shop", "web-1", "", 70_000_000),
        ("shop", "web-1", "app", 67_108_864),
    ]
    assert [each.pod_uid for each in found] == ["", UID, UID]
    assert {(each.source, each.node, each.time) for each in found} == {
        ("kubelet", "worker-1", datetime(2026, 11, 28, 8, tzinfo=UTC))
    }


def test_the_nodes_name_is_the_callers() -> None:
    assert {each.node for each in read(summary(), "worker-2")} == {"worker-2"}


def test_when_the_node_started() -> None:
    assert read_summary(json.dumps(summary()).encode(), "worker-2").boots == {
        "worker-2": datetime(2026, 11, 28, 8, tzinfo=UTC)
    }


@pytest.mark.parametrize("started", [None, "", "0001-01-01T00:00:00Z"])
def test_a_kubelet_that_does_not_know_when_its_node_started(started: object) -> None:
    content = summary()
    content["node"]["startTime"] = started
    assert read_summary(json.dumps(content).encode()).boots == {}


@pytest.mark.parametrize(
    "container",
    [
        {"name": "app"},
        {"name": "app", "memory": None},
        {"name": "app", "memory": {"time": TIME}},
        {"name": "app", "memory": memory(None)},
        {"name": "app", "memory": memory(-1)},
        {"name": 1, "memory": []},
    ],
)
def test_a_container_without_a_number_costs_nobody_else(container: dict[str, Any]) -> None:
    found = read(summary(container, {"name": "other", "memory": memory(5)}))
    assert [each.container for each in found if each.pod] == ["other"]


@pytest.mark.parametrize("time", [None, "", "yesterday"])
def test_without_a_time(time: object) -> None:
    found = read(summary({"name": "app", "memory": memory(5, time)}))
    assert [(each.working_set_bytes, each.time) for each in found if each.container] == [(5, None)]


@pytest.mark.parametrize("content", [{}, {"node": None, "pods": None}, {"pods": [None, 1, {}]}])
def test_what_is_not_there(content: object) -> None:
    assert read(content) == ()


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"node": {', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_summary(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a summary"):
        read_summary(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["node", "pods", "podRef", "containers", "memory", "name"]), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["node", "pods"]), JSON))
def test_nothing_in_it_stops_it(content: object) -> None:
    read(content)


def test_a_recorded_summary() -> None:
    """Recorded on 2026-11-28 from a kubelet 1.37.2 with containerd 2.2.9, Linux 6.1.0-50, cgroup v2; what is not memory
    was left out."""
    found = read_summary((Path(__file__).parent / "kubelet_answers" / "summary-v2.json").read_bytes())
    assert {(each.pod, each.container): each.working_set_bytes for each in found.usages} == {
        ("", ""): 148_242_432,
        ("alone", ""): 548_864,
        ("alone", "app"): 319_488,
        ("quiet", ""): 446_464,
        ("quiet", "app"): 212_992,
    }
    uids = {each.pod: each.pod_uid for each in found.usages}
    assert uids["alone"] == "09426b9f-7031-46e6-abc5-32b59fa13a01"
    assert found.boots == {"worker-v2": datetime(2026, 11, 28, 10, 35, 17, tzinfo=UTC)}
