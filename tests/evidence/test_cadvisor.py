"""What the counters of /metrics/cadvisor mean, whoever's cgroup they stand at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.cadvisor import MOST_CGROUPS, CadvisorReader
from kubectl_memdoctor.evidence.metric_lines import LONGEST_LINE, metric_lines, read_sample
from kubectl_memdoctor.evidence.node_evidence import ContainerCounters, Level

UID = "0b5c1b9e-7a54-4b43-9a0e-3f1c2d4e5f60"
CONTAINER, SANDBOX = "c" * 64, "5" * 64
POD_PATH = f"/kubepods/burstable/pod{UID}"
SLICE = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
APP = {"namespace": "shop", "pod": "web-1", "container": "app"}
UNLIMITED_V1 = "9.223372036854772e+18"
STAMP = " 1764316800123"


def line(name: str, value: str, path: str, labels: dict[str, str] | None = None, ending: str = STAMP) -> bytes:
    named = {"container": "", "id": path, "image": "", "name": "", "namespace": "", "pod": "", **(labels or {})}
    text = ",".join(f'{label}="{escaped(given)}"' for label, given in named.items())
    return f"{name}{{{text}}} {value}{ending}".encode()


def escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def read(*lines: bytes) -> tuple[ContainerCounters, ...]:
    reader = CadvisorReader("worker-1")
    for each in lines:
        reader.read_line(each)
    return reader.evidence().counters


def only(*lines: bytes) -> ContainerCounters:
    (found,) = read(*lines)
    return found


def test_every_number_of_a_container() -> None:
    path = f"{POD_PATH}/{CONTAINER}"
    found = only(
        b"# HELP container_memory_failcnt Number of memory usage hits limits",
        b"# TYPE container_memory_failcnt counter",
        line("container_memory_failcnt", "12", path, APP),
        line("container_memory_max_usage_bytes", "1.34217728e+08", path, APP),
        line("container_memory_usage_bytes", "1.3000704e+08", path, APP),
        line("container_memory_working_set_bytes", "1.2999e+08", path, APP),
        line("container_oom_events_total", "3", path, APP),
        line("container_spec_memory_limit_bytes", "1.34217728e+08", path, APP, ending=""),
        line("container_cpu_usage_seconds_total", "77", path, {**APP, "cpu": "total"}),
        line("container_memory_failures_total", "9", path, {**APP, "failure_type": "pgfault", "scope": "container"}),
    )
    assert found.cgroup is not None
    assert (found.cgroup.pod_uid, found.cgroup.container_id) == (UID, CONTAINER)
    assert (found.namespace, found.pod, found.container, found.node) == ("shop", "web-1", "app", "worker-1")
    assert (found.oom_events, found.failcnt) == (3, 12)
    assert (found.usage_bytes, found.max_usage_bytes, found.working_set_bytes, found.limit_bytes) == (
        130_007_040,
        134_217_728,
        129_990_000,
        134_217_728,
    )


def test_a_pod_its_sandbox_and_the_node_are_told_apart() -> None:
    of_pod = {"namespace": "shop", "pod": "web-1"}
    found = read(
        line("container_oom_events_total", "0", "/"),
        line("container_oom_events_total", "0", "/kubepods/burstable"),
        line("container_oom_events_total", "0", "/system.slice/kubelet.service"),
        line("container_oom_events_total", "0", POD_PATH, of_pod),
        line("container_oom_events_total", "1", f"{POD_PATH}/{SANDBOX}", of_pod),
        line("container_oom_events_total", "2", f"{POD_PATH}/{CONTAINER}", APP),
    )
    assert [(each.pod, each.container, each.cgroup and each.cgroup.level, each.oom_events) for each in found] == [
        ("", "", Level.NODE, 0),
        ("web-1", "", Level.POD, 0),
        ("web-1", "POD", Level.CONTAINER, 1),
        ("web-1", "app", Level.CONTAINER, 2),
    ]


def test_docker_names_the_sandbox_itself() -> None:
    labels = {"namespace": "shop", "pod": "web-1", "container": "POD"}
    assert only(line("container_memory_usage_bytes", "45056", f"{POD_PATH}/{SANDBOX}", labels)).container == "POD"


def test_kills_in_a_cgroup_below_a_container_are_the_containers() -> None:
    path = f"{SLICE}/crio-{CONTAINER}.scope"
    below = (line("container_oom_events_total", "2", f"{path}/container"),) * 2
    own = (
        line("container_oom_events_total", "1", path, APP),
        line("container_memory_usage_bytes", "4096", path, APP),
    )
    for order in ((*below, *own), (*own, *below), (own[0], *below, own[1])):
        found = only(*order, line("container_memory_usage_bytes", "8192", f"{path}/container"))
        assert (found.container, found.oom_events, found.usage_bytes) == ("app", 5, 4096)
        assert found.cgroup is not None
        assert found.cgroup.path == path


def test_kills_below_a_container_that_has_no_line_of_its_own_are_found_by_its_id() -> None:
    found = only(line("container_oom_events_total", "1", f"{POD_PATH}/{CONTAINER}/worker"))
    assert found.cgroup is not None
    assert (found.cgroup.pod_uid, found.cgroup.container_id, found.oom_events) == (UID, CONTAINER, 1)


def test_a_container_that_started_anew_is_another_one() -> None:
    found = read(*(line("container_oom_events_total", "1", f"{POD_PATH}/{each * 64}", APP) for each in "ab"))
    assert [each.container for each in found] == ["app", "app"]


def test_names_of_labels_before_1_16() -> None:
    labels = {"namespace": "shop", "pod_name": "web-1", "container_name": "app", "pod": "", "container": ""}
    found = only(line("container_memory_usage_bytes", "1", f"{POD_PATH}/{CONTAINER}", labels))
    assert (found.pod, found.container) == ("web-1", "app")


@pytest.mark.parametrize("labels", [{"id": CONTAINER}, {"id": ""}])
def test_where_the_runtime_counts_labels_are_enough(labels: dict[str, str]) -> None:
    found = only(line("container_memory_usage_bytes", "4096", "", {**APP, **labels}))
    assert (found.namespace, found.pod, found.container, found.usage_bytes) == ("shop", "web-1", "app", 4096)


@pytest.mark.parametrize("value", ["0", UNLIMITED_V1, "1.8446744073709552e+19"])
def test_no_limit(value: str) -> None:
    path = f"{POD_PATH}/{CONTAINER}"
    usage = line("container_memory_usage_bytes", "1", path, APP)
    assert only(usage, line("container_spec_memory_limit_bytes", value, path, APP)).limit_bytes is None


@pytest.mark.parametrize("name", ["container_memory_max_usage_bytes", "container_memory_failcnt"])
def test_what_a_kernel_or_cgroup_v2_does_not_count(name: str) -> None:
    path = f"{POD_PATH}/{CONTAINER}"
    found = only(line("container_memory_usage_bytes", "1", path, APP), line(name, "0", path, APP))
    assert (found.max_usage_bytes, found.failcnt) == (None, None)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "many"])
def test_what_is_no_count_is_none(value: str) -> None:
    path = f"{POD_PATH}/{CONTAINER}"
    assert read(line("container_oom_events_total", value, path, APP)) == ()


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("container_oom_events_total", " 1764316800.123"),
        ("container_oom_events_total", ' # {trace_id="1"} 1 1764316800.1'),
        ("container_oom_events_total", "\r"),
    ],
)
def test_what_may_follow_the_value(name: str, ending: str) -> None:
    assert only(line(name, "2", f"{POD_PATH}/{CONTAINER}", APP, ending)).oom_events == 2


def test_open_metrics_ends_a_counters_name() -> None:
    assert only(line("container_memory_failcnt_total", "2", f"{POD_PATH}/{CONTAINER}", APP)).failcnt == 2


def test_a_name_that_only_begins_alike_is_another_metric() -> None:
    assert read(line("container_memory_usage_bytes_sum", "2", f"{POD_PATH}/{CONTAINER}", APP)) == ()


def test_memory_does_not_grow_without_end() -> None:
    paths = (f"{POD_PATH}/{number:064x}" for number in range(MOST_CGROUPS + 10))
    assert len(read(*(line("container_oom_events_total", "1", path, APP) for path in paths))) == MOST_CGROUPS


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text()), st.integers(0, 2**53))
def test_labels_come_back_as_they_were(labels: dict[str, str], value: int) -> None:
    text = ",".join(f'{label}="{escaped(given)}"' for label, given in labels.items())
    sample = read_sample(f"some_metric{{{text}}} {value} 1".encode())
    assert sample is not None
    assert (sample.labels(), sample.value) == (labels, value)


@given(st.binary())
def test_nothing_in_a_line_stops_it(rest: bytes) -> None:
    read(rest, b"container_oom_events_total{" + rest, b'container_oom_events_total{id="/"' + rest)


@pytest.mark.parametrize("filler", [b'"', b"\\", b'\\"', b'a="b",', b"{", b'="', b" ", b'a="', b"a", b"a "])
def test_a_hostile_line_takes_linear_time(filler: bytes) -> None:
    """With a step that is not linear, a megabyte would take hours."""
    begun = b"container_oom_events_total{" + filler * (1_000_000 // len(filler))
    read(begun, begun + b"} 1", begun + b'"} 1')


@given(st.lists(st.binary(max_size=12)), st.data())
def test_lines_do_not_depend_on_chunks(lines: list[bytes], data: st.DataObject) -> None:
    whole = [each.replace(b"\n", b"") for each in lines]
    text = b"".join(each + b"\n" for each in whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    assert list(metric_lines(_pieces(text, cuts))) == whole


def _pieces(text: bytes, cuts: list[int]) -> Iterable[bytes]:
    edges = [0, *cuts, len(text)]
    return (text[first:last] for first, last in itertools.pairwise(edges))


def test_a_number_that_is_cut_is_none() -> None:
    assert list(metric_lines([b"a 1\nb 12", b"3"])) == [b"a 1"]


def test_a_line_that_is_far_too_long_is_left_out() -> None:
    endless = [b"x" * 1000] * (2 * LONGEST_LINE // 1000)
    assert list(metric_lines([b"a 1\n", *endless, b"end\nb 2\n", *endless, b"\nc", b" 3\n"])) == [
        b"a 1",
        b"b 2",
        b"c 3",
    ]


def recorded(name: str) -> dict[tuple[str, str], ContainerCounters]:
    """(pod, container) -> its counters, as real kubelets told them."""
    reader = CadvisorReader("worker-1")
    for each in metric_lines([(Path(__file__).parent / "kubelet_answers" / name).read_bytes()]):
        reader.read_line(each)
    counters = reader.evidence().counters
    found = {(each.pod, each.container): each for each in counters}
    assert len(found) == len(counters)
    return found


def test_a_recorded_kill_below_a_container() -> None:
    found = recorded("cadvisor-v2.txt")
    assert {place: each.oom_events for place, each in found.items()} == {
        ("", ""): 0,
        ("alone", ""): 0,
        ("alone", "POD"): 0,
        ("alone", "app"): 1,
        ("quiet", ""): 0,
        ("quiet", "POD"): 0,
        ("quiet", "app"): 0,
    }
    app = found["alone", "app"]
    assert app.cgroup is not None
    assert app.cgroup.pod_uid == "09426b9f-7031-46e6-abc5-32b59fa13a01"
    assert app.cgroup.container_id == "69252a9484982842658eeb462d1ff06774076aec3a56e57dc1f85c4f2a23acee"
    assert (app.usage_bytes, app.max_usage_bytes, app.limit_bytes) == (319_488, 17_121_280, 96 << 20)
    assert {each.failcnt for each in found.values()} == {None}


def test_a_recorded_limit_that_was_hit() -> None:
    """It was the pod's, for the sandbox counts in there too; and nobody counted the kill."""
    found = recorded("cadvisor-v1.txt")
    assert {place: each.failcnt for place, each in found.items() if place[0] == "child-v1"} == {
        ("child-v1", ""): 35,
        ("child-v1", "POD"): None,
        ("child-v1", "app"): None,
    }
    of_pod = found["child-v1", ""]
    assert (of_pod.max_usage_bytes, of_pod.limit_bytes, of_pod.oom_events) == (32 << 20, 32 << 20, 0)
    assert (found["child-v1", "POD"].limit_bytes, found["child-v1", "app"].limit_bytes) == (None, 32 << 20)
