"""The sandbox's minimum: which measured rows a node, a handler and error words pick, and what narrows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from typed import convert

from kubectl_memdoctor import objects, quantity
from kubectl_memdoctor.evidence.runtime_errors import RuntimeFailure, read_runtime_error
from kubectl_memdoctor.measured_minimum import Measurement, Pool, Try, failed_bytes, ready_bytes
from kubectl_memdoctor.runtime_kind import RuntimeKind, is_version, runtime_kind, spans_meet, version_key
from kubectl_memdoctor.sandbox_minimum import (
    ASSUMED_CPUS,
    BYTES_PER_CPU,
    HEADROOM,
    ONE_PAGE,
    ClusterBounds,
    Engine,
    PageSize,
    Refusal,
    Row,
    SandboxMinimum,
    Unmeasured,
    largest_known_minimum_bytes,
    sandbox_minimum,
    table,
    with_cpus,
)

KIB, MIB = 1 << 10, 1 << 20

RUNC_NAMES_MEMORY = (
    "OCI runtime create failed: runc create failed: unable to start container process: "
    "container init was OOM-killed (memory limit too low?)"
)
RUNC_BEFORE_RC91 = (
    "OCI runtime create failed: container_linux.go:344: starting container process caused "
    '"process_linux.go:293: copying bootstrap data to pipe caused \\"write init-p: broken pipe\\"": unknown'
)
RUNC_FROM_1_2 = "runc create failed: unable to start container process: procReady not received"
CRUN_OPAQUE = "OCI runtime create failed: read from the init process"
CRUN_ON_V2 = "writing file `/sys/fs/cgroup/kubepods/pod1/cgroup.subtree_control`: Cannot allocate memory"
V1_REFUSES = (
    "runc create failed: unable to start container process: error setting cgroup config for procHooks process: "
    'failed to write "4194304" to "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": device or resource busy'
)
CRIO_REFUSES_POD = "pod set memory limit 4194304 too low; should be at least 12582912 bytes"
CRIO_REFUSES_CONTAINER = "set memory limit 1 too low; should be at least 512000 bytes"
DOCKER_REFUSES = "Error response from daemon: Minimum memory limit allowed is 6MB"


def node(
    runtime: str = "containerd://1.7.24",
    *,
    kernel: str = "6.1.0-18",
    cpu: str = "",
    os: str = "",
    architecture: str = "amd64",
) -> objects.Node:
    """Without a number of CPUs, all rows of a runtime speak for it."""
    value = {
        "metadata": {"name": "worker-1"},
        "status": {
            "capacity": {"cpu": cpu},
            "nodeInfo": {
                "containerRuntimeVersion": runtime,
                "kernelVersion": kernel,
                "operatingSystem": os,
                "architecture": architecture,
            },
        },
    }
    return convert(value, objects.Node)


def minimum(
    where: objects.Node | None,
    *words: str,
    handler: str | None = None,
    bounds: ClusterBounds | None = None,
    measured: tuple[Measurement, ...] = (),
    override: int | None = None,
) -> SandboxMinimum:
    return sandbox_minimum(
        where,
        handler=handler,
        failures=tuple(map(read_runtime_error, words)),
        bounds=bounds,
        measured=measured,
        override_bytes=override,
    )


def rows(runtime: str, cgroup: str = "") -> list[Row]:
    return [row for row in table().rows if row.runtime == runtime and cgroup in ("", row.cgroup)]


def low(found: list[Row]) -> int:
    return min(row.failed_bytes for row in found)


def high(found: list[Row]) -> int:
    return max(row.ran_bytes for row in found)


def build_and_kernel(row: Row) -> tuple[str, ...]:
    return row.runtime, row.version, row.cgroup, row.kernel, row.huge_pages


class TestTable:
    def test_rows_can_be_true(self) -> None:
        for row in table().rows:
            assert 0 < row.failed_bytes < row.ran_bytes, row
            assert row.failed_bytes % 4096 == row.ran_bytes % 4096 == 0, row
            assert row.cgroup in ("v1", "v2"), row
            assert row.how.strip(), row
            assert row.version.strip(), row
            assert not row.since or not row.before or version_key(row.since) < version_key(row.before), row

    def test_rows_say_where_they_come_from(self) -> None:
        for row in table().rows:
            if row.source:
                assert "https://" in row.source, row
                assert (row.tries, row.kernel, row.taken) == (0, "", ""), row
            else:
                assert row.tries > 0, row
                assert is_version(row.kernel), row
                assert date.fromisoformat(row.taken), row
                assert row.cpus is None or row.cpus > 0, row

    def test_where_is_made_of_the_figures(self) -> None:
        plain = next(row for row in table().rows if not row.source)

        def where(cpus: int | None, tries: int, pages: Literal["", "always"]) -> str:
            return msgspec.structs.replace(plain, kernel="6.1", huge_pages=pages, cpus=cpus, tries=tries).where

        assert where(1, 10, "") == "kernel 6.1, 1 CPU, 10 tries"
        assert where(None, 1, "") == "kernel 6.1, 1 try"
        assert where(2, 10, "always") == "kernel 6.1, huge pages always, 2 CPUs, 10 tries"

    def test_rows_stand_for_the_version_that_was_measured(self) -> None:
        for row in table().rows:
            if row.source:
                continue
            assert not row.since or version_key(row.since) <= version_key(row.version), row
            assert not row.before or version_key(row.version) < version_key(row.before), row

    def test_rows_of_the_same_versions_do_not_contradict_one_another(self) -> None:
        """What ran always in one row did not fail always in another of the same build, kernel and number of CPUs.

        Fewer CPUs do not always need less: crun 1.28 with one CPU needed a step of the grid more than with two.
        """
        every = table().rows
        for one in every:
            for other in every:
                if build_and_kernel(one) != build_and_kernel(other) or one.cpus != other.cpus:
                    continue
                if spans_meet(one.since, one.before, other.since, other.before):
                    assert one.failed_bytes < other.ran_bytes, (one, other)

    @pytest.mark.parametrize(
        ("runtime", "cgroup", "first"),
        [("runc", "v1", ""), ("crun", "v1", ""), ("runc", "v2", "1.0.0"), ("crun", "v2", "")],
    )
    def test_versions_have_no_gap(self, runtime: str, cgroup: str, first: str) -> None:
        spans = {(row.since, row.before) for row in rows(runtime, cgroup)}
        ordered = sorted(spans, key=lambda span: version_key(span[0]))
        assert ordered[0][0] == first
        assert ordered[-1][1] == ""
        assert all(earlier[1] == later[0] for earlier, later in pairwise(ordered))

    def test_what_is_from_source_has_its_reference(self) -> None:
        known = table()
        assert all(refusal.minimum_bytes > 0 for refusal in known.refusals)
        assert all(ONE_PAGE < entry.high_bytes <= entry.ample_bytes for entry in known.unmeasured)
        assert all(entry.page_bytes % ONE_PAGE == 0 and entry.page_bytes > ONE_PAGE for entry in known.page_sizes)
        named = [entry for entry in known.unmeasured if entry.runtime != "unknown"]
        every: list[Refusal | Unmeasured | Engine | PageSize] = [
            *known.refusals,
            *named,
            *known.engines,
            *known.page_sizes,
        ]
        assert all(entry.reference.startswith("https://") for entry in every)
        assert {entry.runtime for entry in known.unmeasured} >= {"kata", "gvisor", "unknown"}
        assert {entry.engine for entry in known.engines} == {"docker", "cri-o"}

    def test_a_measured_runtime_is_not_unmeasured(self) -> None:
        assert not {row.runtime for row in table().rows} & {entry.runtime for entry in table().unmeasured}

    def test_the_largest_known_minimum_is_above_all_rows(self) -> None:
        assert all(row.ran_bytes <= largest_known_minimum_bytes() for row in table().rows)
        assert all(refusal.minimum_bytes <= largest_known_minimum_bytes() for refusal in table().refusals)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1.0.0-rc9", "1.0.0-rc10"),
        ("1.0.0-rc93", "1.0.0"),
        ("1.1.5", "1.1.15"),
        ("1.1.15+ds1", "1.2.0-rc.1"),
        ("v2.0.0-rc.1", "2.0.0"),
        ("1.7.24-k3s1", "1.7.25"),
        ("3.10.0-957.el7.x86_64", "4.5"),
        ("18.9.1", "20.10.7"),
    ],
)
def test_versions_sort_as_their_makers_mean_them(left: str, right: str) -> None:
    assert version_key(left) < version_key(right)


def test_packagers_suffixes_do_not_count() -> None:
    assert version_key("1.7.24-k3s1") == version_key("1.7.24") == version_key("v1.7.24+bundle")


@pytest.mark.parametrize(
    ("runtime", "handler", "words", "expected"),
    [
        ("containerd://1.7.24", None, "", ("containerd", "1.7.24", ("crun", "runc"))),
        ("containerd://1.7.24-k3s1", None, "", ("containerd", "1.7.24-k3s1", ("crun", "runc"))),
        ("containerd://v2.0.0-rc.1", None, "", ("containerd", "2.0.0-rc.1", ("crun", "runc"))),
        ("cri-o://1.31.3", None, "", ("cri-o", "1.31.3", ("crun", "runc"))),
        ("docker://20.10.7", None, "", ("docker", "20.10.7", ("runc",))),
        ("containerd://", None, "", ("containerd", "", ("crun", "runc"))),
        ("rkt://1.30.0", None, "", ("", "", ("crun", "runc"))),
        ("unknown", None, "", ("", "", ("crun", "runc"))),
        ("", None, CRIO_REFUSES_POD, ("cri-o", "", ("crun", "runc"))),
        ("containerd://1.7.24", "runc", "", ("containerd", "1.7.24", ("runc",))),
        ("containerd://1.7.24", "io.containerd.runc.v2", "", ("containerd", "1.7.24", ("runc",))),
        ("containerd://1.7.24", "crun-wasm", "", ("containerd", "1.7.24", ("crun",))),
        ("cri-o://1.31.3", "kata", "", ("cri-o", "1.31.3", ("kata",))),
        ("containerd://1.7.24", "kata-qemu", "", ("containerd", "1.7.24", ("kata",))),
        ("containerd://1.7.24", "katacontainers", "", ("containerd", "1.7.24", ("kata",))),
        ("containerd://1.7.24", "io.containerd.runsc.v1", "", ("containerd", "1.7.24", ("gvisor",))),
        ("containerd://1.7.24", "gvisor", "", ("containerd", "1.7.24", ("gvisor",))),
        ("containerd://1.7.24", "nvidia", "", ("containerd", "1.7.24", ("unknown",))),
        ("containerd://1.7.24", "mycrunchy", "", ("containerd", "1.7.24", ("unknown",))),
        ("containerd://1.7.24", None, RUNC_NAMES_MEMORY, ("containerd", "1.7.24", ("runc",))),
        ("containerd://1.7.24", None, CRUN_OPAQUE, ("containerd", "1.7.24", ("crun",))),
        ("containerd://1.7.24", "nvidia", RUNC_NAMES_MEMORY, ("containerd", "1.7.24", ("runc",))),
    ],
)
def test_the_runtime_is_read_from_what_there_is(
    runtime: str, handler: str | None, words: str, expected: tuple[str, str, tuple[str, ...]]
) -> None:
    kind = runtime_kind(node(runtime), handler, (read_runtime_error(words),) if words else ())
    assert (kind.engine, kind.engine_version, kind.runtimes) == expected


@pytest.mark.parametrize(
    ("runtime", "kernel", "words", "cgroup"),
    [
        ("docker://18.9.1", "3.10.0-957.el7.x86_64", "", "v1"),
        ("containerd://1.6.20", "3.10.0-1160.el7.x86_64", "", "v1"),
        ("docker://19.3.15", "5.4.0-42-generic", "", "v1"),
        ("containerd://1.3.4", "5.4.0-42-generic", "", "v1"),
        ("docker://20.10.7", "5.4.0-42-generic", "", ""),
        ("containerd://1.4.0", "5.4.0-42-generic", "", ""),
        ("containerd://1.7.24", "6.1.0-18-amd64", "", ""),
        ("cri-o://1.13.0", "5.4.0-42-generic", "", ""),
        ("containerd://1.7.24", "", "", ""),
        ("unknown", "unknown", "", ""),
        ("containerd://1.7.24", "6.1.0-18-amd64", CRUN_ON_V2, "v2"),
        ("containerd://1.7.24", "6.1.0-18-amd64", V1_REFUSES, "v1"),
        ("containerd://1.7.24", "6.1.0-18-amd64", CRUN_ON_V2.replace("cgroup/", "cgroup/unified/", 1), "v1"),
    ],
)
def test_the_cgroup_version_is_said_only_where_it_is_certain(
    runtime: str, kernel: str, words: str, cgroup: str
) -> None:
    kind = runtime_kind(node(runtime, kernel=kernel), None, (read_runtime_error(words),) if words else ())
    assert kind.cgroup == cgroup


@pytest.mark.parametrize(("version", "cgroup"), [(1, "v1"), (2, "v2"), (None, "v1")])
def test_the_kubelet_knows_its_cgroup_version_best(version: int | None, cgroup: str) -> None:
    kind = runtime_kind(node(kernel="4.4.0-210-generic"), None, (), version)
    assert kind.cgroup == cgroup


@pytest.mark.parametrize("version", [1, 2])
def test_the_kubelets_cgroup_version_narrows_the_span(version: int) -> None:
    found = sandbox_minimum(
        node(), handler="runc", failures=(), bounds=None, measured=(), override_bytes=None, cgroup_version=version
    )
    assert found.high_bytes == high(rows("runc", f"v{version}"))


def test_wordings_that_contradict_one_another_leave_the_version_open() -> None:
    failures = tuple(map(read_runtime_error, (RUNC_BEFORE_RC91, RUNC_FROM_1_2)))
    kind = runtime_kind(node(), None, failures)
    assert (kind.runtime, kind.since, kind.before) == ("runc", "", "")


class TestSpan:
    def test_an_engine_alone_leaves_both_runtimes(self) -> None:
        found = minimum(node())
        assert found.low_bytes == low(rows("crun"))
        assert found.high_bytes == high(rows("runc"))
        assert found.reason == (
            f"containerd 1.7.24 on node worker-1 needs between {quantity.format_bytes(found.low_bytes)} (crun) and "
            f"{quantity.format_bytes(found.high_bytes)} (runc) to start a sandbox"
        )

    def test_without_a_node_the_span_is_whole(self) -> None:
        found, whole = minimum(None), minimum(node())
        assert (found.low_bytes, found.high_bytes) == (whole.low_bytes, whole.high_bytes)
        assert "a node that is not known" in found.reason

    @pytest.mark.parametrize("runtime", ["runc", "crun"])
    def test_a_handler_leaves_one_runtime(self, runtime: str) -> None:
        found = minimum(node(), handler=runtime)
        assert (found.low_bytes, found.high_bytes) == (low(rows(runtime)), high(rows(runtime)))
        assert f"with {runtime}" in found.reason

    @pytest.mark.parametrize(("words", "runtime"), [(RUNC_NAMES_MEMORY, "runc"), (CRUN_OPAQUE, "crun")])
    def test_words_are_surer_than_a_handler(self, words: str, runtime: str) -> None:
        other = {"runc": "crun", "crun": "runc"}[runtime]
        found = minimum(node(), words, handler=other)
        assert high(rows(runtime)) >= found.high_bytes >= found.low_bytes >= low(rows(runtime))
        assert f"with {runtime}" in found.reason

    def test_words_of_both_runtimes_leave_both(self) -> None:
        found = minimum(node(), RUNC_NAMES_MEMORY, CRUN_OPAQUE)
        assert (found.low_bytes, found.high_bytes) == (low(rows("crun")), high(rows("runc")))

    def test_the_era_of_the_words_picks_the_versions(self) -> None:
        old, new = minimum(node(), RUNC_BEFORE_RC91), minimum(node(), RUNC_FROM_1_2)
        assert old.high_bytes == 16 * MIB
        assert new.high_bytes == 10 * MIB
        assert new.low_bytes > old.low_bytes

    def test_the_cgroup_version_picks_the_rows(self) -> None:
        found = minimum(node("docker://19.3.15"))
        assert (found.low_bytes, found.high_bytes) == (low(rows("runc", "v1")), high(rows("runc", "v1")))

    def test_docker_18_on_kernel_3_10(self) -> None:
        found = minimum(node("docker://18.9.1", kernel="3.10.0-957.el7.x86_64", cpu="2"), RUNC_BEFORE_RC91)
        assert MIB <= found.low_bytes < found.high_bytes <= 16 * MIB
        assert found.high_bytes < found.ample_bytes < 128 * MIB
        assert "docker 18.9.1 with runc on node worker-1" in found.reason

    def test_what_was_not_measured_inherits_from_its_neighbours_and_says_so(self) -> None:
        found = minimum(node(), RUNC_BEFORE_RC91, CRUN_ON_V2.replace("writing file `", "").replace("`", ""))
        assert "runc before 1.0.0-rc91 on cgroup v2 was not measured" in found.reason
        first_on_v2 = min(rows("runc", "v2"), key=lambda row: version_key(row.since))
        same_on_v1 = next(row for row in rows("runc", "v1") if not row.since)
        assert found.low_bytes == min(first_on_v2.failed_bytes, same_on_v1.failed_bytes)
        assert found.high_bytes == max(first_on_v2.ran_bytes, same_on_v1.ran_bytes)

    @pytest.mark.parametrize(
        ("handler", "named", "at_least"),
        [
            ("kata", "Kata Containers", 200_000_000),
            ("kata-fc", "Kata Containers", 200_000_000),
            ("gvisor", "gVisor", 16 * MIB),
            ("youki", "youki", 16 * MIB),
            ("sysbox-runc-like", "runc", 0),
            ("wasmtime", "handler wasmtime", 16 * MIB),
        ],
    )
    def test_other_handlers_are_not_measured(self, handler: str, named: str, at_least: int) -> None:
        found = minimum(node(), handler=handler)
        assert named in found.reason
        assert found.high_bytes >= at_least
        if at_least:
            assert "was not measured" in found.reason
            assert found.low_bytes == ONE_PAGE
            assert found.ample_bytes > 3 * found.high_bytes

    def test_windows_needs_no_minimum(self) -> None:
        found = minimum(node("containerd://1.7.24", os="windows"))
        assert "Windows" in found.reason
        assert found.high_bytes == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("version", "handler", "low_from", "high_from"),
        [
            ("1.26.4", None, 12 * MIB, 12 * MIB),
            ("1.26.4", "crun", 12 * MIB, 12 * MIB),
            ("1.20.0", "crun", 12 * MIB, 12 * MIB),
            ("1.19.7", "crun", 0, 12 * MIB),
            ("1.14.12", "crun", 0, 4 * MIB),
            ("1.30.1", "crun", 0, 12 * MIB),
            ("1.31.3", "runc", 0, 12 * MIB),
            ("", "crun", 0, 12 * MIB),
            ("unknown", "crun", 0, 12 * MIB),
        ],
    )
    def test_cri_o_refuses_by_itself(self, version: str, handler: str | None, low_from: int, high_from: int) -> None:
        found = minimum(node(f"cri-o://{version}"), handler=handler)
        assert found.low_bytes >= low_from
        assert found.high_bytes >= high_from
        if not low_from:
            assert found.low_bytes < MIB * 4

    def test_newer_cri_o_lets_crun_have_less(self) -> None:
        found = minimum(node("cri-o://1.31.3"), handler="crun")
        assert 512_000 <= found.high_bytes <= MIB

    def test_cri_o_1_12_had_no_minimum_for_pods(self) -> None:
        found = minimum(node("cri-o://1.12.0"), handler="crun")
        assert found.high_bytes == high(rows("crun"))

    def test_what_the_error_states_for_the_pod_holds(self) -> None:
        found = minimum(node("cri-o://1.31.3"), CRIO_REFUSES_POD, handler="crun")
        assert (found.low_bytes, found.high_bytes) == (12582912, 12582912)
        assert "12Mi (its own words)" in found.reason
        assert [entry.source for entry in found.evidence].count("runtime") == 1

    @pytest.mark.parametrize("words", [CRIO_REFUSES_CONTAINER, DOCKER_REFUSES])
    def test_what_the_error_states_for_a_container_is_nothing_for_the_sandbox(self, words: str) -> None:
        found, without = minimum(node(), words, handler="crun"), minimum(node(), handler="crun")
        assert (found.low_bytes, found.high_bytes) == (without.low_bytes, without.high_bytes)


class TestBounds:
    def test_they_narrow_and_are_evidence(self) -> None:
        bounds = ClusterBounds(MIB, "shop/broken", 4 * MIB, "shop/fine")
        found = minimum(node(), bounds=bounds)
        assert (found.low_bytes, found.high_bytes) == (MIB, 4 * MIB)
        values = [entry.value for entry in found.evidence if entry.source == "pod"]
        assert values == [
            "pod shop/broken fails with 1Mi on the same kind of node",
            "pod shop/fine runs with 4Mi on the same kind of node",
        ]
        assert "4Mi (pod shop/fine runs with it)" in found.reason

    def test_a_pod_that_runs_does_not_shrink_what_is_ample(self) -> None:
        bounds = ClusterBounds(smallest_ready_bytes=4 * MIB, smallest_ready_pod="a/b")
        assert minimum(node(), bounds=bounds).ample_bytes == minimum(node()).ample_bytes

    def test_a_pod_that_runs_below_all_rows_proves_them_wrong(self) -> None:
        bounds = ClusterBounds(smallest_ready_bytes=20 * KIB, smallest_ready_pod="a/b")
        found = minimum(node(), bounds=bounds)
        assert (found.low_bytes, found.high_bytes) == (20 * KIB, 20 * KIB)

    def test_nothing_runs_in_less_than_a_page(self) -> None:
        """CRI-O calls a sandbox without a process ready, too: https://github.com/cri-o/cri-o/pull/5113."""
        bounds = ClusterBounds(smallest_ready_bytes=1, smallest_ready_pod="a/b")
        assert minimum(node(), bounds=bounds) == minimum(node())

    @pytest.mark.parametrize("failed", [4 * MIB, 8 * MIB])
    def test_a_contradiction_bounds_nothing(self, failed: int) -> None:
        bounds = ClusterBounds(failed, "a/broken", 4 * MIB, "a/fine")
        found, without = minimum(node(), bounds=bounds), minimum(node())
        assert (found.low_bytes, found.high_bytes) == (without.low_bytes, without.high_bytes)

    def test_a_failure_far_above_the_span_bounds_nothing(self) -> None:
        bounds = ClusterBounds(largest_failed_bytes=1 << 30, largest_failed_pod="a/b")
        assert minimum(node(), bounds=bounds) == minimum(node())


class TestCpus:
    @pytest.mark.parametrize(("cpu", "counted"), [("4", 4), ("128", 128), ("7910m", 8), ("1000000", 8192)])
    def test_more_cpus_make_more_ample(self, cpu: str, counted: int) -> None:
        found = minimum(node(cpu=cpu))
        chosen = with_cpus(rows("runc"), counted)
        assert found.ample_bytes == high(chosen) * HEADROOM + counted * BYTES_PER_CPU
        assert (found.low_bytes, found.high_bytes) == (low(with_cpus(rows("crun"), counted)), high(chosen))

    @pytest.mark.parametrize("cpu", ["", "many", "0", "-3"])
    def test_a_node_that_does_not_say_may_be_large(self, cpu: str) -> None:
        assert minimum(node(cpu=cpu)).ample_bytes == minimum(None).ample_bytes
        assert minimum(None).ample_bytes == high(rows("runc")) * HEADROOM + ASSUMED_CPUS * BYTES_PER_CPU

    def test_they_are_evidence_where_they_outweigh_the_runtime(self) -> None:
        def says(cpu: str) -> bool:
            return any(entry.field == "status.capacity.cpu" for entry in minimum(node(cpu=cpu)).evidence)

        assert says("256")
        assert not says("4")

    def test_the_rows_of_the_nearest_counts_are_used(self) -> None:
        plain = rows("runc", "v2")[0]
        some = [msgspec.structs.replace(plain, cpus=count, ran_bytes=count * MIB) for count in (1, 2, 8)]
        other = msgspec.structs.replace(plain, version="1.0.2", cpus=None)

        def counts(cpus: int | None) -> list[int | None]:
            return [row.cpus for row in with_cpus([*some, other], cpus)]

        assert counts(2) == [2, None]
        assert counts(4) == [2, 8, None]
        assert counts(64) == [8, None]
        assert counts(None) == [1, 2, 8, None]
        assert [row.cpus for row in with_cpus(some[1:], 1)] == [2]

    def test_builds_and_cgroup_versions_each_have_their_own_counts(self) -> None:
        plain = rows("runc", "v2")[0]
        few = msgspec.structs.replace(plain, cpus=2)
        many = [msgspec.structs.replace(plain, cpus=count, cgroup="v1") for count in (2, 8)]
        assert with_cpus([few, *many], 8) == [few, many[1]]

    def test_no_count_stands_for_another_setting_of_the_kernel(self) -> None:
        plain = rows("runc", "v2")[0]
        small = msgspec.structs.replace(plain, cpus=2, huge_pages="madvise")
        large = [msgspec.structs.replace(plain, cpus=count, huge_pages="always") for count in (2, 8)]
        assert with_cpus([small, *large], 8) == [small, large[1]]


def test_the_users_own_figure_replaces_all() -> None:
    bounds = ClusterBounds(MIB, "a/b", 4 * MIB, "a/c")
    found = minimum(node(), CRIO_REFUSES_POD, handler="kata", bounds=bounds, override=32 * MIB)
    assert (found.low_bytes, found.high_bytes, found.ample_bytes) == (32 * MIB, 32 * MIB, 32 * MIB)
    assert "32Mi" in found.reason
    assert "your own figure" in found.reason
    assert found.evidence == ()


@pytest.mark.parametrize("override", [None, 0, -1])
def test_no_figure_is_no_figure(override: int | None) -> None:
    assert minimum(node(), override=override) == minimum(node())


ODD = ["containerd://1.7.24-k3s1", "containerd://v2.0.0-rc.1", "cri-o://1.31.3", "docker://20.10.7", "containerd://"]
RUNTIMES = st.sampled_from([*ODD, "", "unknown", "docker://18.9", "cri-o://x", "CRI-O://1.20", "://", "rkt://1"])
NODES = st.none() | st.builds(
    node,
    RUNTIMES | st.text(max_size=40),
    kernel=st.sampled_from(["", "3.10.0-957.el7", "6.1", "x"]) | st.text(max_size=20),
    cpu=st.sampled_from(["", "2", "256", "7910m", "x"]) | st.text(max_size=10),
    os=st.sampled_from(["", "linux", "windows"]),
)
HANDLERS = st.none() | st.sampled_from(["runc", "crun", "kata", "runsc", "nvidia", "a\nb"]) | st.text(max_size=20)
WORDS = [RUNC_NAMES_MEMORY, RUNC_BEFORE_RC91, RUNC_FROM_1_2, CRUN_OPAQUE, CRUN_ON_V2, V1_REFUSES, CRIO_REFUSES_POD]
FAILURES = st.lists(
    (st.sampled_from([*WORDS, DOCKER_REFUSES, CRIO_REFUSES_CONTAINER]) | st.text(max_size=200)).map(read_runtime_error),
    max_size=3,
).map(tuple)
LIMITS = st.none() | st.integers(-1, 1 << 32)
BOUNDS = st.none() | st.builds(ClusterBounds, LIMITS, st.none() | st.text(), LIMITS, st.none() | st.text())


def measurement(
    *tries: tuple[int, int, int],
    runtime: str = "containerd://1.7.24",
    kernel: str = "6.1.0-18",
    cpus: int = 4,
    handler: str = "",
    where: str = "worker-7",
) -> Measurement:
    """`tries` are limits in bytes with how many pods became ready and how many did not."""
    all_tries = tuple(Try(limit_bytes=limit, ready=ready, failed=failed) for limit, ready, failed in tries)
    enough = ready_bytes(all_tries)
    assert enough is not None
    pool = Pool(
        container_runtime_version=runtime, kernel_version=kernel, architecture="amd64", cpus=cpus, handler=handler
    )
    return Measurement(
        node=where,
        pool=pool,
        failed_bytes=failed_bytes(all_tries),
        ready_bytes=enough,
        tries=all_tries,
        image="registry.k8s.io/pause:3.10",
        taken_at=datetime(2026, 11, 24, 18, tzinfo=UTC),
    )


STEPS = st.lists(st.tuples(st.integers(1, 1 << 31), st.integers(0, 4), st.integers(0, 4)), max_size=4)
MEASURED = st.lists(
    st.builds(
        lambda steps, most, runtime, kernel, cpus: measurement(
            *steps, (most, 1, 0), runtime=runtime, kernel=kernel, cpus=cpus
        ),
        STEPS,
        st.integers((1 << 31) + 1, 1 << 32),
        st.sampled_from(ODD),
        st.sampled_from(["6.1", "x"]),
        st.sampled_from([2, 8, 256]),
    ),
    max_size=3,
).map(tuple)


@settings(deadline=None)
@given(NODES, HANDLERS, FAILURES, BOUNDS, MEASURED, LIMITS)
def test_every_answer_is_a_span_and_one_plain_line(
    where: objects.Node | None,
    handler: str | None,
    failures: tuple[RuntimeFailure, ...],
    bounds: ClusterBounds | None,
    measured: tuple[Measurement, ...],
    override: int | None,
) -> None:
    found = sandbox_minimum(
        where, handler=handler, failures=failures, bounds=bounds, measured=measured, override_bytes=override
    )
    assert 0 < found.low_bytes <= found.high_bytes <= found.ample_bytes
    assert found.reason == found.reason.strip()
    assert len(found.reason.splitlines()) == 1
    assert not found.reason.endswith(".")
    if override is not None and override > 0:
        assert (found.low_bytes, found.high_bytes, found.ample_bytes) == (override,) * 3


@settings(deadline=None)
@given(NODES, HANDLERS, FAILURES, BOUNDS, MEASURED)
def test_bounds_only_narrow(
    where: objects.Node | None,
    handler: str | None,
    failures: tuple[RuntimeFailure, ...],
    bounds: ClusterBounds | None,
    measured: tuple[Measurement, ...],
) -> None:
    """Never up at the top; never down at the bottom but to a pod that runs there; the true minimum stays inside."""

    def found(used: ClusterBounds | None) -> SandboxMinimum:
        return sandbox_minimum(
            where, handler=handler, failures=failures, bounds=used, measured=measured, override_bytes=None
        )

    before, after = found(None), found(bounds)
    ready = bounds.smallest_ready_bytes if bounds else None
    assert after.high_bytes <= before.high_bytes
    assert after.low_bytes >= before.low_bytes or after.low_bytes == ready
    assert after.ample_bytes == before.ample_bytes
    if bounds is not None and ready is not None and ready >= ONE_PAGE:
        assert after.low_bytes <= ready
        contradicted = (bounds.largest_failed_bytes or 0) >= ready
        assert after.high_bytes == (before.high_bytes if contradicted else min(before.high_bytes, ready))


@settings(deadline=None)
@given(
    st.sampled_from(["runc", "crun"]),
    st.sampled_from(["", "0.19", "1.0.0-rc91", "1.0.0", "1.1.0", "1.1.15", "1.2.0", "1.21", "99"]),
    st.sampled_from(["", "0.5", "1.0.0-rc91", "1.1.0", "1.2.0", "1.28", "100"]),
    st.sampled_from(["", "v1", "v2"]),
)
def test_nothing_that_ran_within_a_span_lies_below_it(runtime: str, since: str, before: str, cgroup: str) -> None:
    """The honest span: under its low end no row that fits has started, from its high end on every one has."""
    if since and before and version_key(since) >= version_key(before):
        return
    failure = replace(
        read_runtime_error(""), runtime=runtime, runtime_since=since or None, runtime_before=before or None
    )
    text = {"v1": "memory.limit_in_bytes", "v2": "memory.max", "": ""}[cgroup]
    found = sandbox_minimum(
        node(), handler=None, failures=(replace(failure, text=text),), bounds=None, measured=(), override_bytes=None
    )
    kind = RuntimeKind(since=since, before=before, cgroup=cgroup)
    for row in rows(runtime):
        if spans_meet(row.since, row.before, kind.since, kind.before) and cgroup in ("", row.cgroup):
            assert found.low_bytes <= row.failed_bytes < row.ran_bytes <= found.high_bytes


class TestFromSource:
    """What was not measured here says so where it decides."""

    @pytest.mark.parametrize(
        ("where", "handler", "title"),
        [
            (node("docker://20.10.7"), None, "docker 20.10.7"),
            (node("cri-o://1.12.0"), None, "cri-o 1.12.0"),
            (node("cri-o://1.26.4"), "crun", "cri-o 1.20 and later"),
            (node(), "kata", "Kata Containers"),
            (node(), "runsc", "gVisor"),
            (node(architecture="ppc64le"), None, "pages of 64Ki"),
            (node(architecture="arm64"), None, "pages of 64Ki"),
        ],
    )
    def test_evidence_says_so(self, where: objects.Node, handler: str | None, title: str) -> None:
        told = {entry.object: entry.value for entry in minimum(where, handler=handler).evidence}
        assert told[title].startswith("from source, not measured: ")
        assert "https://" in told[title]

    def test_measured_rows_do_not(self) -> None:
        assert not [entry for entry in minimum(node()).evidence if "from source" in entry.value]

    def test_a_handler_that_says_nothing_is_a_guess(self) -> None:
        (told,) = {entry.value for entry in minimum(node(), handler="wasmtime").evidence if entry.source == "lab"}
        assert told.startswith("not measured, an estimate: ")

    def test_what_other_pods_prove_needs_no_source(self) -> None:
        bounds = ClusterBounds(2 * MIB, "shop/broken", 4 * MIB, "shop/fine")
        found = minimum(node("docker://20.10.7"), bounds=bounds)
        assert not [entry for entry in found.evidence if "from source" in entry.value]


class TestPages:
    @pytest.mark.parametrize(
        ("architecture", "kernel", "page_bytes"),
        [
            ("ppc64le", "5.14.0-427.el9.ppc64le", 64 * KIB),
            ("arm64", "5.14.0-427.el9.aarch64+64k", 64 * KIB),
            ("arm64", "6.8.0-31-generic-64k", 64 * KIB),
            ("arm64", "4.18.0-513.el8_9.aarch64", 64 * KIB),
            ("arm64", "5.14.0-427.el9.aarch64", 4 * KIB),
            ("arm64", "6.1.112-122.189.amzn2023.aarch64", 4 * KIB),
            ("amd64", "4.18.0-513.el8_9.x86_64", 4 * KIB),
            ("amd64", "6.1.64", 4 * KIB),
            ("", "", 4 * KIB),
        ],
    )
    def test_they_are_told_from_architecture_and_kernel(self, architecture: str, kernel: str, page_bytes: int) -> None:
        found = minimum(node(architecture=architecture, kernel=kernel), handler="crun")
        small = minimum(node(), handler="crun")
        assert found.low_bytes == -(-small.low_bytes // page_bytes) * page_bytes
        assert found.high_bytes == -(-small.high_bytes // page_bytes) * page_bytes
        headroom = BYTES_PER_CPU * ASSUMED_CPUS
        assert found.ample_bytes - headroom == (small.ample_bytes - headroom) * (page_bytes // ONE_PAGE)
        assert ("pages of 64Ki" in found.reason) == (page_bytes != ONE_PAGE)

    def test_a_limit_under_a_page_is_under_all_that_starts(self) -> None:
        assert minimum(node(architecture="ppc64le"), handler="kata").low_bytes == 64 * KIB


class TestMeasuredOnYourNodes:
    PLAIN = ((2 * MIB, 0, 4), (3 * MIB, 1, 3), (4 * MIB, 4, 0))

    def test_they_take_the_place_of_the_table(self) -> None:
        found = minimum(node(cpu="4"), measured=(measurement(*self.PLAIN),))
        assert (found.low_bytes, found.high_bytes, found.ample_bytes) == (2 * MIB + 1, 4 * MIB, 8 * MIB)
        assert found.reason == (
            "containerd 1.7.24 on node worker-1 needs between 2Mi and 4Mi to start a sandbox, measured on your nodes"
        )
        (told,) = [entry for entry in found.evidence if entry.source == "lab"]
        assert told.object == "node/worker-7"
        assert told.value == (
            "measured on your nodes: fails with 2Mi, at times with 3Mi, runs with 4Mi (12 tries, 4 CPUs, 2026-11-24)"
        )

    @pytest.mark.parametrize(
        "other",
        [
            measurement(*PLAIN, runtime="containerd://1.7.25"),
            measurement(*PLAIN, kernel="6.1.0-19"),
            measurement(*PLAIN, handler="crun"),
        ],
    )
    def test_another_pool_says_nothing(self, other: Measurement) -> None:
        assert minimum(node(cpu="4"), measured=(other,)) == minimum(node(cpu="4"))

    def test_another_architecture_says_nothing(self) -> None:
        where = node(cpu="4", architecture="arm64")
        assert minimum(where, measured=(measurement(*self.PLAIN),)) == minimum(where)

    def test_each_handler_has_its_own(self) -> None:
        measured = (measurement(*self.PLAIN), measurement((MIB, 0, 1), (2 * MIB, 1, 0), handler="kata"))
        found = minimum(node(cpu="4"), handler="kata", measured=measured)
        assert (found.low_bytes, found.high_bytes) == (MIB + 1, 2 * MIB)
        assert "containerd 1.7.24 with Kata Containers on node worker-1 needs between 1Mi and 2Mi" in found.reason

    def test_nodes_of_one_pool_are_taken_together(self) -> None:
        other = measurement((MIB, 0, 1), (8 * MIB, 1, 0), where="worker-8")
        found = minimum(node(cpu="4"), measured=(measurement(*self.PLAIN), other))
        assert (found.low_bytes, found.high_bytes) == (MIB + 1, 8 * MIB)

    def test_a_node_with_more_cpus_gets_the_low_end(self) -> None:
        table_alone = minimum(node(cpu="64"))
        found = minimum(node(cpu="64"), measured=(measurement(*self.PLAIN),))
        assert found.low_bytes == 2 * MIB + 1
        assert (found.high_bytes, found.ample_bytes) == (table_alone.high_bytes, table_alone.ample_bytes)
        assert "between 2Mi (measured on your nodes) and" in found.reason

    def test_with_more_cpus_it_needs_at_least_as_much(self) -> None:
        found = minimum(node(cpu="64"), measured=(measurement((200 * MIB, 0, 1), (300 * MIB, 1, 0)),))
        assert (found.low_bytes, found.high_bytes) == (200 * MIB + 1, 300 * MIB)
        assert found.ample_bytes == 600 * MIB + 64 * BYTES_PER_CPU

    def test_a_node_with_fewer_cpus_gets_the_high_end(self) -> None:
        found = minimum(node(cpu="2"), measured=(measurement(*self.PLAIN),))
        assert found.low_bytes == minimum(node(cpu="2")).low_bytes
        assert (found.high_bytes, found.ample_bytes) == (4 * MIB, 8 * MIB)

    def test_what_ran_at_the_smallest_limit_bounds_the_low_end(self) -> None:
        found = minimum(
            node("cri-o://1.26.4", cpu="4"), measured=(measurement((8 * MIB, 2, 0), runtime="cri-o://1.26.4"),)
        )
        assert (found.low_bytes, found.high_bytes) == (8 * MIB, 8 * MIB)
        assert "needs 8Mi (measured on your nodes)" in found.reason

    def test_what_an_engine_refuses_by_its_source_does_not_count(self) -> None:
        measured = (measurement(*self.PLAIN, runtime="cri-o://1.26.4"),)
        found = minimum(node("cri-o://1.26.4", cpu="4"), measured=measured)
        assert (found.low_bytes, found.high_bytes) == (2 * MIB + 1, 4 * MIB)
        assert not [entry for entry in found.evidence if "from source" in entry.value]

    def test_what_an_error_states_does(self) -> None:
        measured = (measurement(*self.PLAIN, runtime="cri-o://1.26.4"),)
        found = minimum(node("cri-o://1.26.4", cpu="4"), CRIO_REFUSES_POD, measured=measured)
        assert (found.low_bytes, found.high_bytes) == (12 * MIB, 12 * MIB)

    def test_other_pods_narrow_them(self) -> None:
        bounds = ClusterBounds(smallest_ready_bytes=3 * MIB, smallest_ready_pod="a/b")
        found = minimum(node(cpu="4"), measured=(measurement(*self.PLAIN),), bounds=bounds)
        assert (found.low_bytes, found.high_bytes) == (2 * MIB + 1, 3 * MIB)

    def test_a_pod_that_runs_with_what_failed_bounds_the_low_end(self) -> None:
        bounds = ClusterBounds(smallest_ready_bytes=2 * MIB, smallest_ready_pod="a/b")
        found = minimum(node(cpu="4"), measured=(measurement(*self.PLAIN),), bounds=bounds)
        assert (found.low_bytes, found.high_bytes) == (2 * MIB, 2 * MIB)

    def test_the_users_own_figure_wins(self) -> None:
        found = minimum(node(cpu="4"), measured=(measurement(*self.PLAIN),), override=32 * MIB)
        assert (found.low_bytes, found.high_bytes) == (32 * MIB, 32 * MIB)

    @pytest.mark.parametrize("where", [None, node(cpu=""), node("", cpu="4")])
    def test_a_node_that_says_too_little_has_none(self, where: objects.Node | None) -> None:
        assert minimum(where, measured=(measurement(*self.PLAIN),)) == minimum(where)
