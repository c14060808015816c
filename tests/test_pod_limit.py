"""The pod cgroup's limit: tables, properties, and random pods computed by Kubernetes' own code as well."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from go_program import run_go
from hypothesis import given
from hypothesis import strategies as st
from typed import convert

from kubectl_memdoctor import quantity
from kubectl_memdoctor.objects import Pod
from kubectl_memdoctor.pod_limit import (
    ContainerLimit,
    LimitSource,
    compute_qos_class,
    container_memory_limit,
    is_static,
    is_windows,
    pod_memory_limit,
    pod_memory_request,
)

SEED = 20261124
PODS = 5_000
MI = 1 << 20
QUANTITIES = ("300m", "0.1", "1", "1.5", "4095", "4Ki", "12M", "64Mi", "0.3Gi", "1Gi", "2e9", "9", "1n", "128Mi")

Json = dict[str, Any]


def container(name: str, limit: str | None = None, **fields: Any) -> Json:
    resources = {} if limit is None else {"limits": {"memory": limit}, "requests": {"memory": limit}}
    return {"name": name, "resources": resources, **fields}


def sidecar(name: str, limit: str | None = None) -> Json:
    return container(name, limit, restartPolicy="Always")


def pod(*containers: Json, init: tuple[Json, ...] = (), meta: Json | None = None, **fields: Any) -> Pod:
    status = fields.pop("status", {})
    spec = {"containers": containers, "initContainers": init, **fields}
    return convert({"metadata": meta or {}, "spec": spec, "status": status}, Pod)


def limit_of(*containers: Json, init: tuple[Json, ...] = (), **fields: Any) -> int | None:
    return pod_memory_limit(pod(*containers, init=init, **fields)).limit_bytes


def names(entries: tuple[ContainerLimit, ...]) -> list[str]:
    return [entry.name for entry in entries]


def test_one_container_decides_as_written() -> None:
    limit = pod_memory_limit(pod(container("app", "300m")))
    assert (limit.limit_bytes, limit.quantity, limit.source) == (1, "300m", LimitSource.CONTAINERS)
    assert limit.deciding == (
        ContainerLimit(
            name="app",
            field="spec.containers[0].resources.limits.memory",
            field_path="spec.containers{app}",
            quantity="300m",
            init=False,
            sidecar=False,
            from_limit_range=False,
        ),
    )


def test_the_sum_is_exact_and_rounded_up_once() -> None:
    limit = pod_memory_limit(pod(container("a", "300m"), container("b", "0.3")))
    assert (limit.limit_bytes, limit.quantity) == (1, "600m")


def test_the_sum_of_whole_bytes_has_a_binary_unit() -> None:
    assert pod_memory_limit(pod(container("a", "10Mi"), container("b", "4Mi"))).quantity == "14Mi"


@pytest.mark.parametrize("missing", [None, "0", "0Mi"])
def test_a_container_without_limit_leaves_the_pod_without(missing: str | None) -> None:
    limit = pod_memory_limit(pod(container("a", "64Mi"), container("b", missing)))
    assert (limit.limit_bytes, limit.source, limit.deciding, limit.unlimited) == (None, None, (), ("b",))


def test_an_init_container_without_limit_counts_as_well() -> None:
    assert limit_of(container("a", "64Mi"), init=(container("setup"),)) is None


def test_the_largest_init_container_decides() -> None:
    limit = pod_memory_limit(pod(container("a", "8Mi"), init=(container("i", "10Mi"), container("j", "9Mi"))))
    assert (limit.limit_bytes, names(limit.deciding), limit.quantity) == (10 * MI, ["i"], "10Mi")
    assert limit.deciding[0].field == "spec.initContainers[0].resources.limits.memory"
    assert limit.deciding[0].field_path == "spec.initContainers{i}"


def test_sidecars_run_beside_the_containers() -> None:
    limit = pod_memory_limit(pod(container("a", "8Mi"), init=(sidecar("s", "4Mi"), container("i", "7Mi"))))
    assert (limit.limit_bytes, names(limit.deciding)) == (12 * MI, ["a", "s"])


def test_an_init_container_runs_beside_the_sidecars_before_it() -> None:
    init = (sidecar("s", "4Mi"), container("i", "9Mi"), sidecar("t", "1Mi"))
    limit = pod_memory_limit(pod(container("a", "7Mi"), init=init))
    assert (limit.limit_bytes, names(limit.deciding)) == (13 * MI, ["s", "i"])


@pytest.mark.parametrize(
    ("kubelet", "limited"),
    [("v1.27.16", False), ("v1.28.0", True), ("v1.36.3+k3s1", True), ("v1.37.2", False), ("", False), ("odd", False)],
)
def test_kubelets_differ_in_init_containers_behind_a_sidecar(kubelet: str, limited: bool) -> None:
    built = pod(container("a", "8Mi"), init=(sidecar("s", "4Mi"), container("i"), sidecar("t")))
    limit = pod_memory_limit(built, kubelet)
    assert limit.limit_bytes == (12 * MI if limited else None)
    assert limit.unlimited == (() if limited else ("i", "t"))


def test_an_init_container_before_the_sidecar_is_alone_for_every_kubelet() -> None:
    built = pod(container("a", "8Mi"), init=(container("i"), sidecar("s", "4Mi")))
    assert pod_memory_limit(built, "v1.34.0").unlimited == ("i",)


def test_overhead_is_added_to_a_limit_only() -> None:
    limit = pod_memory_limit(pod(container("a", "64Mi"), overhead={"memory": "120Mi"}))
    assert (limit.limit_bytes, limit.quantity, limit.overhead_bytes) == (184 * MI, "184Mi", 120 * MI)
    assert limit_of(container("a"), overhead={"memory": "120Mi"}) is None


def test_the_pod_level_limit_replaces_the_sum() -> None:
    limit = pod_memory_limit(pod(container("a", "64Mi"), container("b"), resources={"limits": {"memory": "1Gi"}}))
    assert (limit.limit_bytes, limit.quantity, limit.source) == (1 << 30, "1Gi", LimitSource.POD)
    assert (limit.deciding, limit.unlimited) == ((), ())


def test_a_pod_level_limit_of_zero_is_none() -> None:
    assert limit_of(container("a"), resources={"limits": {"memory": "0"}}) is None


def test_a_pod_level_request_alone_changes_no_limit() -> None:
    assert limit_of(container("a", "64Mi"), resources={"requests": {"memory": "1Mi"}}) == 64 * MI


def test_best_effort_pods_have_no_limit() -> None:
    assert limit_of(container("a", "64Mi"), status={"qosClass": "BestEffort"}) is None


NOTE = "LimitRanger plugin set: cpu, memory request for container app; cpu, memory limit for container app; {}"


@pytest.mark.parametrize(
    ("note", "source"),
    [
        (NOTE.format("memory limit for init container setup"), LimitSource.LIMIT_RANGE),
        (NOTE.format("memory request for init container setup"), LimitSource.LIMIT_RANGE),
        ("LimitRanger plugin set: memory limit for container app", LimitSource.LIMIT_RANGE),
        ("LimitRanger plugin set: memory limit for init container setup", LimitSource.CONTAINERS),
        (
            "LimitRanger plugin set: memory request for container app; cpu limit for container app",
            LimitSource.CONTAINERS,
        ),
        ("LimitRanger plugin set: memory limit for container app2", LimitSource.CONTAINERS),
        ("", LimitSource.CONTAINERS),
        ("nonsense: ; limit for ;", LimitSource.CONTAINERS),
    ],
)
def test_admission_notes_a_limit_that_a_limit_range_gave(note: str, source: LimitSource) -> None:
    meta = {"annotations": {"kubernetes.io/limit-ranger": note}}
    limit = pod_memory_limit(pod(container("app", "512m"), init=(container("setup", "100m"),), meta=meta))
    assert limit.source == source
    assert limit.deciding[0].from_limit_range == (source == LimitSource.LIMIT_RANGE)


def test_a_limit_of_the_manifest_beside_one_of_the_limit_range() -> None:
    meta = {"annotations": {"kubernetes.io/limit-ranger": "LimitRanger plugin set: memory limit for container b"}}
    limit = pod_memory_limit(pod(container("a", "1Mi"), container("b", "2Mi"), meta=meta))
    assert limit.source == LimitSource.CONTAINERS
    assert [entry.from_limit_range for entry in limit.deciding] == [False, True]


@pytest.mark.parametrize(
    ("fields", "windows"),
    [
        ({"os": {"name": "windows"}}, True),
        ({"os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "windows"}}, False),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, True),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, False),
        ({}, False),
    ],
)
def test_windows_pods_are_not_checked(fields: Json, windows: bool) -> None:
    built = pod(container("a", "300m"), **fields)
    limit = pod_memory_limit(built)
    assert is_windows(built) == windows
    assert (limit.not_checked_reason is not None, limit.limit_bytes) == (windows, None if windows else 1)


@pytest.mark.parametrize(
    ("built", "field"),
    [
        (pod(container("a", "64MB")), "spec.containers[0].resources.limits.memory"),
        (pod(container("a", "-1")), "spec.containers[0].resources.limits.memory"),
        (pod(container("a"), init=(container("i", "Gi1"),)), "spec.initContainers[0].resources.limits.memory"),
        (pod(container("a", "1Mi"), resources={"limits": {"memory": ""}}), "spec.resources.limits.memory"),
        (pod(container("a", "1Mi"), overhead={"memory": "x" * 1_000_000}), "spec.overhead.memory"),
    ],
)
def test_what_is_no_quantity_is_said(built: Pod, field: str) -> None:
    limit = pod_memory_limit(built)
    assert limit.limit_bytes is None
    assert limit.not_checked_reason is not None
    assert limit.not_checked_reason.startswith(f"{field}: ")
    assert len(limit.not_checked_reason) < 150
    assert pod_memory_request(built) >= 0 or field.startswith("spec.containers")


def test_static_pods_are_mirrors() -> None:
    assert is_static(pod(container("a"), meta={"annotations": {"kubernetes.io/config.mirror": "0f3a"}}))
    assert not is_static(pod(container("a"), meta={"annotations": {"kubernetes.io/config.source": "api"}}))


def in_force(name: str, limit: str | None) -> Json:
    return {"name": name, "resources": {"limits": {} if limit is None else {"memory": limit}}}


@pytest.mark.parametrize(
    ("status", "resized"),
    [
        ({}, False),
        ({"containerStatuses": [in_force("a", "64Mi")]}, False),
        ({"containerStatuses": [in_force("a", "67108864")]}, False),
        ({"containerStatuses": [in_force("a", "32Mi")]}, True),
        ({"containerStatuses": [in_force("a", None)]}, False),
        ({"containerStatuses": [{"name": "a"}, in_force("gone", "1Mi")]}, False),
        ({"initContainerStatuses": [in_force("s", "1")]}, False),
        ({"initContainerStatuses": [in_force("s", "2")]}, True),
        ({"resources": {"limits": {"memory": "1Gi"}}}, False),
        ({"resources": {"limits": {"memory": "2Gi"}}}, True),
    ],
)
def test_a_resize_on_its_way_is_seen(status: Json, resized: bool) -> None:
    init = (sidecar("s", "300m"),)
    built = pod(container("a", "64Mi"), init=init, resources={"limits": {"memory": "1Gi"}}, status=status)
    assert pod_memory_limit(built).resized == resized


def test_a_container_has_its_own_limit() -> None:
    built = pod(container("a", "64Mi"), init=(sidecar("s", "1Mi"),), resources={"limits": {"memory": "1Gi"}})
    found = container_memory_limit(built, "s")
    assert found is not None
    assert (found.quantity, found.sidecar, found.field_path) == ("1Mi", True, "spec.initContainers{s}")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", "spec.containers{a}"), ("i", "spec.initContainers{i}"), ("debug", "spec.ephemeralContainers{debug}")],
)
def test_a_container_without_limit_has_the_pods(name: str, path: str) -> None:
    fields: Json = {"init": (container("i", "0"),), "ephemeralContainers": [container("debug")]}
    found = container_memory_limit(pod(container("a"), **fields, resources={"limits": {"memory": "1Gi"}}), name)
    assert found is not None
    assert (found.quantity, found.field, found.field_path) == ("1Gi", "spec.resources.limits.memory", path)
    assert container_memory_limit(pod(container("a"), **fields), name) is None


def test_an_unknown_container_has_no_limit() -> None:
    assert container_memory_limit(pod(container("a", "1Mi"), resources={"limits": {"memory": "1Gi"}}), "b") is None


def test_a_request_follows_the_same_rule() -> None:
    init = (sidecar("s", "4Mi"), container("i", "9Mi"))
    assert pod_memory_request(pod(container("a", "7Mi"), init=init, overhead={"memory": "1Mi"})) == 14 * MI
    assert pod_memory_request(pod(container("a", "7Mi"), resources={"requests": {"memory": "2Mi"}})) == 2 * MI


limits = st.lists(st.sampled_from(QUANTITIES), min_size=1, max_size=5)


def numbered(texts: list[str]) -> list[Json]:
    return [container(f"c{index}", text) for index, text in enumerate(texts)]


@given(limits, st.sampled_from(QUANTITIES), st.data())
def test_a_raised_limit_never_lowers_the_pods(texts: list[str], more: str, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(texts) - 1))
    raised = texts.copy()
    raised[index] = max(texts[index], more, key=quantity.nano)
    for as_init in (False, True):
        before, after = _limit_in(texts, as_init), _limit_in(raised, as_init)
        assert before is not None
        assert after is not None
        assert after >= before


def _limit_in(texts: list[str], as_init: bool) -> int | None:
    return limit_of(container("a", "1"), init=tuple(numbered(texts))) if as_init else limit_of(*numbered(texts))


@given(limits, st.data())
def test_a_removed_limit_leaves_the_pod_without(texts: list[str], data: st.DataObject) -> None:
    containers = numbered(texts)
    removed = data.draw(st.integers(0, len(texts) - 1))
    containers[removed] = container(f"c{removed}")
    limit = pod_memory_limit(pod(*containers))
    assert (limit.limit_bytes, limit.unlimited) == (None, (f"c{removed}",))


@given(
    st.lists(st.sampled_from((*QUANTITIES, None, "0")), min_size=1, max_size=5).flatmap(
        lambda texts: st.tuples(st.just(texts), st.permutations(texts))
    )
)
def test_the_order_of_containers_does_not_matter(texts: tuple[list[str | None], list[str | None]]) -> None:
    one, other = ([container(f"c{index}", text) for index, text in enumerate(order)] for order in texts)
    assert limit_of(*one) == limit_of(*other)
    assert pod_memory_request(pod(*one)) == pod_memory_request(pod(*other))


@given(limits, st.lists(st.sampled_from(QUANTITIES), max_size=3))
def test_what_decides_adds_up_to_the_limit(texts: list[str], init: list[str]) -> None:
    plain = tuple(container(f"i{index}", text) for index, text in enumerate(init))
    limit = pod_memory_limit(pod(*numbered(texts), init=plain))
    total = sum(quantity.nano(entry.quantity or "0") for entry in limit.deciding)
    assert limit.limit_bytes == -(-total // quantity.NANO)
    assert quantity.nano(limit.quantity or "0") == total


@given(limits)
def test_a_request_equal_to_the_limit_is_as_large(texts: list[str]) -> None:
    built = pod(*numbered(texts))
    assert pod_memory_request(built) == pod_memory_limit(built).limit_bytes


def test_the_same_as_the_kubelet_and_the_scheduler() -> None:
    """Limit, request and QoS class of random pods, by component-helpers and the kubelet's rule of 1.37."""
    pods = _pods()
    answers = run_go("podlimit", "\n".join(map(json.dumps, pods)))
    ours = [_answer(convert(entry, Pod)) for entry in pods]
    _compare(pods, answers, ours)
    assert {answer.split()[2] for answer in answers} == {"Guaranteed", "Burstable", "BestEffort"}


def test_the_same_as_the_kubelet_that_looks_at_sidecars_first() -> None:
    """The limit by the rule of 1.28 to 1.36, whose component-helpers tell it for which containers there is one."""
    pods = [entry | {"status": {"qosClass": compute_qos_class(convert(entry, Pod).spec)}} for entry in _pods()]
    answers = run_go("kubelet136", "\n".join(map(json.dumps, pods)))
    ours = [_text(pod_memory_limit(convert(entry, Pod), "v1.36.3").limit_bytes) for entry in pods]
    _compare(pods, answers, ours)
    newer = [_text(pod_memory_limit(convert(entry, Pod), "v1.37.2").limit_bytes) for entry in pods]
    assert newer != ours


def _compare(pods: list[Json], answers: list[str], ours: list[str]) -> None:
    differing = [trio for trio in zip(answers, ours, pods, strict=True) if trio[0] != trio[1]]
    assert not differing, f"seed {SEED}: {len(differing)} differ, such as {differing[:3]}"
    limited = sum(not answer.startswith("-") for answer in answers)
    assert 0.3 < limited / len(pods) < 0.9, f"seed {SEED}: {limited} with a limit leaves too little of one kind"


def _answer(built: Pod) -> str:
    limit = pod_memory_limit(built)
    return f"{_text(limit.limit_bytes)} {pod_memory_request(built)} {limit.qos_class}"


def _text(limit_bytes: int | None) -> str:
    return "-" if limit_bytes is None else str(limit_bytes)


def _pods() -> list[Json]:
    chance = random.Random(SEED)
    return [_random_pod(chance) for _ in range(PODS)]


def _random_pod(chance: random.Random) -> Json:
    """As the API server would store it: requests are there where limits are, quantities are valid."""
    generous = chance.random()
    spec: Json = {
        "containers": [_random_container(chance, f"c{n}", generous) for n in range(chance.choice((1, 1, 2, 3)))]
    }
    if chance.random() < 0.6:
        spec["initContainers"] = [_random_container(chance, f"i{n}", generous) for n in range(chance.randint(1, 4))]
        for entry in spec["initContainers"]:
            entry |= {"restartPolicy": "Always"} if chance.random() < 0.5 else {}
    if chance.random() < 0.2:
        spec["overhead"] = {"cpu": "10m"} | ({"memory": _random_quantity(chance)} if chance.random() < 0.8 else {})
    if chance.random() < 0.25:
        spec["resources"] = _random_resources(chance, generous)
    return {"spec": spec}


def _random_container(chance: random.Random, name: str, generous: float) -> Json:
    return {"name": name, "resources": _random_resources(chance, generous)}


def _random_resources(chance: random.Random, generous: float) -> Json:
    resources: Json = {}
    for name in ("memory", "cpu"):
        if chance.random() > generous**0.3:
            continue
        limit = "0" if chance.random() < 0.04 else _random_quantity(chance)
        request = limit if chance.random() < 0.8 else _random_quantity(chance)
        if chance.random() < 0.95:
            resources.setdefault("limits", {})[name] = limit
        resources.setdefault("requests", {})[name] = request
    return resources


def _random_quantity(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return chance.choice(QUANTITIES)
    number = chance.choice((f"{chance.randint(1, 999)}", f"{chance.randint(0, 99)}.{chance.randint(0, 9999):04}"))
    return number + chance.choice(("m", "", "k", "Ki", "M", "Mi", "Gi", "u", "n", "e3", "G", "Ti"))
