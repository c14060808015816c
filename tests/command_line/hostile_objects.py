"""Whole objects that no API server would store, and that a recording can hold all the same."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

CASES = Path(__file__).parent.parent / "cases"

QUANTITIES: tuple[Any, ...] = (
    "300m", "512m", "1", "4096", "100Ki", "1Mi", "14Mi", "64Mi", "1Gi", "8Ei", "0", "0.3", "-5Mi", "1e3", "1E", "5e-1",
    "1n", "0.0000000001", "123456789012345678901234567890", "9" * 400, "1e400", "1e-400", "1Zi", "Mi", "", " 1Mi",
    "0x10", "+.5Gi", "\u0661Mi", "1.5.5", "NaN", 64, 0.5, 2**70, None, True, [], {},
)  # fmt: skip
TIMES: tuple[Any, ...] = (
    "2026-11-23T10:00:00Z", "2026-11-23T09:59:58.123456789Z", "2026-11-23T10:00:00+14:00", "2026-11-23T10:00:00",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
    "1900-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "yesterday", "", 0, -1, 1e300, 1732356000, None, {}, [],
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 137, 2**63, -(2**63), 1e308, 0.5, "", " ", "x", "-", "/", "a/b", "'; rm -rf ~ #",
    "$(reboot)", "`id`", "\x1b[2J", "\nforged: line", "\u202egnp", "网页", "\x00", "Unknown", "FutureWord", "OOMKilled",
    "137", [], {}, [None], [[]], {"": None}, {"memory": None}, {"name": {}}, ["x"], "z" * 1_000_000,
)  # fmt: skip

NAMES = ("web-1", "web-2", "api", "x" * 253, "a b", "'; rm -rf ~ #", "\x1b[2J", "a\nb", "网页", "")
EVENT_MESSAGES = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = container init was OOM-killed (limit too low?)",
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container network: no CNI",
    'MountVolume.SetUp failed for volume "kube-api-access-x" : write /var/lib/token: no space left on device',
    "0/3 nodes are available: 3 Insufficient memory. preemption: not eligible",
    "Error creating: pods \"x\" is forbidden: exceeded quota: q, requested: limits.memory=1Gi, used: 1Gi, limited: 1Gi",
    "Pod sandbox changed, it will be killed and re-created.",
    "Container app failed liveness probe, will be restarted",
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 95Mi. Container app was using 9Mi, ",
    "\x1b[31m(combined from similar events): \n" + "y" * 3000,
    "",
)  # fmt: skip


EVENT_REASONS = (
    "FailedCreatePodSandBox", "SandboxChanged", "FailedMount", "FailedScheduling", "FailedCreate", "Killing", "Evicted",
    "Failed", "BackOff", "Unhealthy", "SystemOOM", "Preempted", "NodeHasInsufficientMemory", "FutureReason", "", None,
)  # fmt: skip


def _may_lack(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> Any:
    """A dict whose optional fields are there, null, or missing."""
    return st.fixed_dictionaries(required, optional={name: st.none() | values for name, values in optional.items()})


names = st.sampled_from(NAMES)
namespaces = st.sampled_from(("shop", "billing", "", "ns\x1b[0m"))
quantities = st.sampled_from(QUANTITIES)
times = st.sampled_from(TIMES)
words = st.sampled_from(
    ("", "Pending", "Running", "Succeeded", "Failed", "Unknown", "FutureWord", "True", "False", 1, {})
)
uids = st.sampled_from(("u1", "u2", "u3", "", None))
nodes_named = st.sampled_from(("worker-1", "worker-2", "", None))
amounts = st.dictionaries(st.sampled_from(("memory", "cpu", "hugepages-2Mi", "")), quantities, max_size=2)
resources = _may_lack({}, limits=amounts, requests=amounts)
owners = _may_lack(
    {},
    kind=st.sampled_from(("ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Rollout", "")),
    name=names,
    apiVersion=st.sampled_from(("apps/v1", "batch/v1", "argoproj.io/v1", "v1", "")),
    uid=uids,
    controller=st.sampled_from((True, False, "true", 1)),
)
metadata = _may_lack(
    {"name": names, "namespace": namespaces},
    uid=uids,
    labels=st.dictionaries(st.sampled_from(("app", "pod-template-hash", "")), names | st.none(), max_size=2),
    annotations=st.dictionaries(
        st.sampled_from(
            ("kubernetes.io/limit-ranger", "kubernetes.io/config.mirror", "deployment.kubernetes.io/revision")
        ),
        st.sampled_from(("LimitRanger plugin set: memory limit for container app", "7", "-1", "", None, 3)),
        max_size=2,
    ),
    ownerReferences=st.lists(owners, max_size=2),
    creationTimestamp=times,
    deletionTimestamp=times,
    generation=st.sampled_from((1, 2, "3", -1)),
)
ended = _may_lack(
    {},
    reason=st.sampled_from(
        ("OOMKilled", "Error", "Completed", "StartError", "ContainerStatusUnknown", "FutureWord", 5)
    ),
    exitCode=st.sampled_from((0, 1, 128, 137, 143, -1, "137", 2**40)),
    message=st.sampled_from(EVENT_MESSAGES),
    startedAt=times,
    finishedAt=times,
)
waiting = _may_lack(
    {},
    reason=st.sampled_from(
        (
            "ContainerCreating",
            "PodInitializing",
            "CrashLoopBackOff",
            "CreateContainerError",
            "RunContainerError",
            "Hm",
            None,
        )
    ),
    message=st.sampled_from(EVENT_MESSAGES),
)
states = _may_lack({}, waiting=waiting, running=_may_lack({}, startedAt=times), terminated=ended)
container_names = st.sampled_from(("app", "sidecar", "init", "", None))
statuses = st.lists(
    _may_lack(
        {"name": container_names},
        state=states,
        lastState=states,
        ready=st.booleans() | st.just("true"),
        restartCount=st.sampled_from((0, 1, 2**31, "7", -3)),
        resources=resources,
        allocatedResources=amounts,
    ),
    max_size=2,
)
containers = st.lists(
    _may_lack(
        {"name": container_names},
        image=names,
        resources=resources,
        restartPolicy=st.sampled_from(("Always", "Never", "", 1)),
    ),
    max_size=3,
)
conditions = st.lists(
    _may_lack(
        {
            "type": st.sampled_from(
                ("PodReadyToStartContainers", "PodScheduled", "MemoryPressure", "PodResizePending", "Ready", "Future")
            )
        },
        status=words,
        reason=st.sampled_from(("Deferred", "Infeasible", "Unschedulable", "Error", "")),
        message=st.sampled_from(EVENT_MESSAGES),
        lastTransitionTime=times,
    ),
    max_size=3,
)
volumes = st.lists(
    _may_lack(
        {"name": names}, emptyDir=_may_lack({}, medium=words, sizeLimit=quantities), projected=st.just({}), secret=words
    ),
    max_size=2,
)
pod_specs = _may_lack(
    {},
    containers=containers,
    initContainers=containers,
    ephemeralContainers=containers,
    resources=resources,
    overhead=amounts,
    nodeName=nodes_named,
    os=_may_lack({}, name=st.sampled_from(("linux", "windows", ""))),
    runtimeClassName=st.sampled_from(("crun", "gvisor", "")),
    volumes=volumes,
    terminationGracePeriodSeconds=st.sampled_from((0, 30, "30", -1, 2**63)),
)
pods = _may_lack(
    {"apiVersion": st.just("v1"), "kind": st.just("Pod"), "metadata": metadata},
    spec=pod_specs,
    status=_may_lack(
        {},
        phase=words,
        reason=st.sampled_from(("Evicted", "OutOfmemory", "NodeLost", "", 7)),
        message=st.sampled_from(EVENT_MESSAGES),
        qosClass=st.sampled_from(("Guaranteed", "Burstable", "BestEffort", "Golden", "")),
        conditions=conditions,
        containerStatuses=statuses,
        initContainerStatuses=statuses,
        ephemeralContainerStatuses=statuses,
        startTime=times,
        resize=st.sampled_from(("Deferred", "Infeasible", "", "Later")),
    ),
)
events = _may_lack(
    {"apiVersion": st.just("v1"), "kind": st.just("Event"), "metadata": metadata},
    involvedObject=_may_lack(
        {},
        kind=st.sampled_from(("Pod", "Node", "ReplicaSet", "Job", "Cat")),
        namespace=namespaces,
        name=names,
        uid=uids,
        fieldPath=st.sampled_from(("spec.containers{app}", "spec{", 3)),
    ),
    type=st.sampled_from(("Warning", "Normal", "Worse", 1)),
    reason=st.sampled_from(EVENT_REASONS),
    message=st.sampled_from(EVENT_MESSAGES),
    count=st.sampled_from((0, 1, 13, -2, 2**63, "4", 1.5)),
    firstTimestamp=times,
    lastTimestamp=times,
    eventTime=times,
    series=_may_lack({}, count=st.sampled_from((0, 5, "x")), lastObservedTime=times),
)
cluster_nodes = _may_lack(
    {"apiVersion": st.just("v1"), "kind": st.just("Node"), "metadata": st.fixed_dictionaries({"name": nodes_named})},
    status=_may_lack(
        {},
        nodeInfo=_may_lack(
            {},
            containerRuntimeVersion=st.sampled_from(
                ("containerd://1.7.24", "cri-o://1.30.1", "docker://18.9.1", "rkt://0", "containerd", "", "://", 1)
            ),
            kernelVersion=st.sampled_from(("6.1.0-13-amd64", "3.10.0-957.el7.x86_64", "", "linux", 6)),
            kubeletVersion=st.sampled_from(("v1.34.2", "v1.25.0-eks", "", "v1", 1)),
            osImage=words,
            operatingSystem=st.sampled_from(("linux", "windows", "")),
        ),
        allocatable=amounts,
        capacity=amounts,
        conditions=conditions,
    ),
)
limit_range_types = st.sampled_from(("Container", "Pod", "PersistentVolumeClaim", "", None))
limit_ranges = _may_lack(
    {"apiVersion": st.just("v1"), "kind": st.just("LimitRange"), "metadata": metadata},
    spec=_may_lack(
        {},
        limits=st.lists(
            _may_lack({"type": limit_range_types}, default=amounts, defaultRequest=amounts),
            max_size=2,
        ),
    ),
)
replica_sets = _may_lack(
    {"apiVersion": st.just("apps/v1"), "kind": st.just("ReplicaSet"), "metadata": metadata},
    spec=_may_lack({}, template=_may_lack({}, spec=pod_specs), selector=st.just({"matchLabels": None})),
)
whole_objects = st.lists(
    st.one_of(pods, pods, events, cluster_nodes, limit_ranges, replica_sets), min_size=1, max_size=8
)
"""The items of a recording."""


@cache
def recorded() -> tuple[list[Any], ...]:
    """The objects of recorded cases, one of those about which the same is told but for names and numbers."""
    paths = {_told(path): path for path in sorted(CASES.glob("*/*.yaml"))}
    return tuple(map(objects_in, paths.values()))


_NAMES_AND_NUMBERS = re.compile(r"\S*\d\S*")


def _told(path: Path) -> frozenset[tuple[str, ...]]:
    """Rule, severity, confidence and the form of the command of each finding in the case's golden."""
    return frozenset(
        (
            finding["rule"],
            finding["severity"],
            finding["confidence"],
            _NAMES_AND_NUMBERS.sub("", finding.get("remedy", {}).get("command", "")),
        )
        for finding in json.loads(path.with_suffix(".json").read_bytes())["findings"]
    )


def objects_in(path: Path) -> list[Any]:
    """The objects of one recorded case, out of their Lists."""
    documents = [document for document in yaml.load_all(path.read_text(), yaml.CSafeLoader) if document]
    return [item for document in documents for item in document.get("items") or [document]]


def spoilt(chance: random.Random) -> list[Any]:
    """The objects of one or two recorded cases, with some fields replaced by what does not belong there."""
    objects = copy.deepcopy([entry for case in chance.sample(recorded(), chance.randint(1, 2)) for entry in case])
    for _ in range(chance.randint(1, 12)):
        _spoil(chance.choice(objects), chance)
    chance.shuffle(objects)
    return objects


def _spoil(entry: Any, chance: random.Random) -> None:
    """Replaces one field, anywhere below; what names the object's type stays."""
    places = [
        (holder, key) for holder, key in _places(entry) if key not in ("apiVersion", "kind") or holder is not entry
    ]
    holder, key = chance.choice(places)
    values: Any = chance.choice((QUANTITIES, TIMES, ODD))
    holder[key] = copy.deepcopy(chance.choice(values))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
