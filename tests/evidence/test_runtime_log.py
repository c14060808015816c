"""What the logs of containerd, dockerd and CRI-O tell: failing sandboxes for each pod, OOM kills for each container."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.container_listing import ListedContainer
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, SandboxFailures
from kubectl_memdoctor.evidence.runtime_log import MOST_CONTAINERS, MOST_OOMS_OF_ONE, RuntimeLogReader

from .recorded_lines import FIRST_SANDBOX, NAMESPACE, OTHER_CONTAINER, POD, REAL_PODS, SECOND_SANDBOX, UID, feed

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
REQUEST = "d6035872-bc9d-4d98-b3b4-b1e036c7546d"
CRIO_RUN = f"id={REQUEST} name=/runtime.v1.RuntimeService/RunPodSandbox"
START = f"/containers/{FIRST_SANDBOX}/start returned error: OCI runtime create failed: x"


def recorded_evidence(path: str, writer: Writer = Writer.UNKNOWN) -> NodeEvidence:
    reader = RuntimeLogReader("node-1")
    feed(reader, path, writer)
    return reader.evidence()


def read(*texts: str, writer: Writer = Writer.UNKNOWN) -> NodeEvidence:
    reader = RuntimeLogReader()
    for number, text in enumerate(texts):
        reader.read(LogLine(text, writer, "runtime.log", number + 1, NOON + timedelta(seconds=number), host="node-1"))
    reader.finish()
    return reader.evidence()


def shown(entry: SandboxFailures) -> tuple[str, str, str, int, int]:
    return entry.namespace, entry.name, entry.pod_uid, entry.count, entry.sandboxes


@pytest.mark.parametrize("writer", [Writer.CONTAINERD, Writer.UNKNOWN])
def test_containerd_names_the_pod_of_each_failure(writer: Writer) -> None:
    found = recorded_evidence("runtime_lines/containerd-1.6.log", writer).sandbox_failures
    assert [shown(entry) for entry in found] == [
        (NAMESPACE, POD, UID, 2, 1),
        ("default", "web-0", "11111111-2222-4333-8444-555555555555", 1, 1),
    ]
    assert {(entry.writer, entry.node) for entry in found} == {(Writer.CONTAINERD, "node-1")}
    assert found[0].message == (
        f'failed to start sandbox container task "{SECOND_SANDBOX}": cannot start a stopped process: unknown'
    )
    assert found[0].first is not None
    assert found[0].last is not None
    assert found[0].last - found[0].first == timedelta(seconds=12, microseconds=899700)


def test_containerds_oom_event_of_old() -> None:
    (oom,) = recorded_evidence("runtime_lines/containerd-1.6.log").runtime_ooms
    assert (oom.container_id, oom.writer, oom.node) == (OTHER_CONTAINER, Writer.CONTAINERD, "node-1")
    assert oom.time == datetime(2026, 11, 28, 9, 8, 30, 518803, tzinfo=UTC)


def test_containerd_as_text_as_json_and_on_a_terminal() -> None:
    evidence = recorded_evidence("runtime_lines/containerd-2.2-forms.log")
    (found,) = evidence.sandbox_failures
    assert shown(found) == (NAMESPACE, POD, UID, 3, 1)
    assert found.message.endswith("container init was OOM-killed (memory limit too low?)")
    assert [oom.container_id for oom in evidence.runtime_ooms] == [SECOND_SANDBOX] * 3


def test_a_real_nodes_containerd() -> None:
    evidence = recorded_evidence("runtime_lines/containerd-2.2.log", Writer.CONTAINERD)
    assert [(entry.name, entry.count, entry.sandboxes) for entry in evidence.sandbox_failures] == REAL_PODS
    assert len({oom.container_id for oom in evidence.runtime_ooms}) == len(evidence.runtime_ooms) == 2


def test_docker_counts_ids_whose_pods_it_does_not_know() -> None:
    (found,) = recorded_evidence("runtime_lines/dockerd-18.09.log", Writer.DOCKER).sandbox_failures
    assert shown(found) == ("", "", "", 3, 3)
    assert found.writer is Writer.DOCKER


def test_a_listing_gives_dockers_ids_their_pods() -> None:
    reader = RuntimeLogReader()
    feed(reader, "runtime_lines/dockerd-18.09.log")
    sandbox = ListedContainer(NAMESPACE, POD, UID, "POD")
    listed = {FIRST_SANDBOX[:12]: sandbox, SECOND_SANDBOX[:12]: sandbox}
    found = reader.evidence(listed).sandbox_failures
    assert [shown(entry) for entry in found] == [("", "", "", 1, 1), (NAMESPACE, POD, UID, 2, 2)]
    assert "read init-p" not in found[1].message
    assert found[1].message.startswith("OCI runtime create failed: container_linux.go:344")


def test_a_container_that_does_not_start_is_no_sandbox() -> None:
    reader = RuntimeLogReader()
    feed(reader, "runtime_lines/dockerd-18.09.log")
    listed = {OTHER_CONTAINER[:12]: ListedContainer("default", "web-0", "u", "web")}
    assert [shown(entry) for entry in reader.evidence(listed).sandbox_failures] == [("", "", "", 2, 2)]


def test_ids_that_the_kubelet_tells_are_taken_for_sandboxes() -> None:
    reader = RuntimeLogReader()
    reader.read(LogLine(f'level=error msg="Handler for POST /v1.38{START}"'))
    died = {FIRST_SANDBOX[:12]: ListedContainer(NAMESPACE, POD, UID, "")}
    assert [shown(entry) for entry in reader.evidence(died).sandbox_failures] == [(NAMESPACE, POD, UID, 1, 1)]


def test_crios_lines_of_one_request_are_one_failure() -> None:
    evidence = recorded_evidence("runtime_lines/crio-1.30.log")
    (found,) = evidence.sandbox_failures
    assert shown(found) == (NAMESPACE, POD, UID, 2, 2)
    assert found.writer is Writer.CRIO
    assert found.message.startswith('time="2026-11-28T09:09:10Z" level=error msg="runc create failed:')
    (oom,) = evidence.runtime_ooms
    assert (oom.container_id, oom.writer) == (OTHER_CONTAINER[:20], Writer.CRIO)


def test_crio_before_the_pod_is_named_knows_its_name_only() -> None:
    found = read(
        f'level=info msg="Running pod sandbox: {NAMESPACE}/{POD}/POD" {CRIO_RUN}',
        f'level=debug msg="Response error: x" {CRIO_RUN}',
    ).sandbox_failures
    assert [(shown(entry), entry.message) for entry in found] == [((NAMESPACE, POD, "", 1, 0), "x")]


TOLD = (
    (Writer.CONTAINERD, f'level=info msg="TaskOOM event container_id:\\"{FIRST_SANDBOX}\\""'),
    (Writer.DOCKER, f"container oom {FIRST_SANDBOX} (image=busybox, name=k8s_a_b_c_d_0)"),
    (Writer.CRIO, f"conmon {FIRST_SANDBOX[:20]} <ninfo>: OOM event received"),
)


@pytest.mark.parametrize(("writer", "text"), TOLD)
def test_oom_kills_by_writer(writer: Writer, text: str) -> None:
    for line_writer in (writer, Writer.UNKNOWN):
        (oom,) = read(text, writer=line_writer).runtime_ooms
        assert oom.writer is writer
        assert FIRST_SANDBOX.startswith(oom.container_id)
        assert (oom.time, oom.node) == (NOON, "node-1")
    for other in set(Writer) - {writer, Writer.UNKNOWN}:
        assert not read(text, writer=other)
    assert any(needle in text.encode() for needle in RuntimeLogReader.NEEDLES)


def test_a_time_without_a_zone_is_none() -> None:
    reader = RuntimeLogReader()
    reader.read(LogLine(TOLD[0][1], time=NOON, zone_known=False))
    (oom,) = reader.evidence().runtime_ooms
    assert oom.time is None
    assert oom.line is not None
    assert oom.line.time == NOON


SILENT = (
    f'level=info msg="RunPodSandbox for &PodSandboxMetadata{{Name:{POD},Uid:{UID},}} returns sandbox id \\"x\\""',
    f'level=error msg="CreateContainer within sandbox \\"{FIRST_SANDBOX}\\" for x failed, error" error="x"',
    f'level=info msg="received sandbox exit event container_id:\\"{FIRST_SANDBOX}\\" exit_status:137"',
    'level=error msg="can\'t find container for TaskOOM event"',
    f'level=error msg="Handler for POST /v1.38/containers/{FIRST_SANDBOX}/stop returned error: x"',
    'level=error msg="Handler for POST /v1.38/containers/web/start returned error: x"',
    f'level=info msg="Ran pod sandbox {FIRST_SANDBOX} with infra container: default/web-0/POD" {CRIO_RUN}',
    '"RunPodSandbox from runtime service failed" err="x"',
    f"conmon {FIRST_SANDBOX[:20]} <nwarn>: Failed to write oom file",
    f'a program that quotes: level=info msg="TaskOOM event container_id:\\"{FIRST_SANDBOX}\\""',
)


@pytest.mark.parametrize("text", SILENT)
def test_lines_that_only_look_alike(text: str) -> None:
    assert not read(text)


def test_memory_does_not_grow_with_the_log() -> None:
    reader = RuntimeLogReader()
    many = 2 * MOST_CONTAINERS
    for number in range(many):
        container = f"{number:064x}"
        reader.read(LogLine(f'level=error msg="Handler for POST /containers/{container}/start returned error: x"'))
        reader.read(LogLine(f"{container} cleanup: failed to delete container from containerd: no such container"))
        reader.read(LogLine(f'level=info msg="TaskOOM event container_id:\\"{container}\\""'))
        reader.read(LogLine(f'level=info msg="TaskOOM event container_id:\\"{"f" * 64}\\""'))
    (found,) = reader.evidence().sandbox_failures
    assert (found.count, found.sandboxes) == (many, many)
    assert len(found.lines) <= 3
    ooms = reader.evidence().runtime_ooms
    assert len(ooms) == MOST_CONTAINERS - 1 + MOST_OOMS_OF_ONE


HOSTILE = (
    'level=error msg="RunPodSandbox for ' + "a failed " * 100_000,
    'level=error msg="RunPodSandbox for ' + "name:" * 200_000,
    'level=error msg="TaskOOM event ' + "container_id" * 80_000,
    f'level=error msg="runSandbox: {"k8s_" * 250_000}" {CRIO_RUN}',
    "Handler for POST /v" + "1." * 500_000,
    "conmon " + "a" * 1_000_000,
    "0" * 1_000_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:40] for text in HOSTILE])
def test_hostile_lines_of_a_megabyte(text: str) -> None:
    """That this ends at all is the test: a pattern that went back and forth would take hours."""
    assert not [found for found in read(text).sandbox_failures if found.pod_uid]


words = st.sampled_from(
    [
        f'level=error msg="RunPodSandbox for &PodSandboxMetadata{{Name:{POD},Uid:{UID},Namespace:{NAMESPACE},}} ',
        'failed, error" error="x"',
        f'level=info msg="runSandbox: releasing pod sandbox name: k8s_{POD}_{NAMESPACE}_{UID}_0" {CRIO_RUN}',
        f"Handler for POST {START}",
        "container_id",
        *(text for _, text in TOLD),
    ]
)


@given(st.lists(st.one_of(st.text(), words), max_size=6))
def test_no_pod_is_named_that_the_text_does_not_name(parts: list[str]) -> None:
    text = "".join(parts)
    evidence = read(text)
    for found in evidence.sandbox_failures:
        assert found.name in text
        assert found.namespace in text
        assert found.pod_uid in text
    for oom in evidence.runtime_ooms:
        assert oom.container_id in text
