"""What the kubelet's log tells: OOM events, and sandboxes that fail, counted once however often they are logged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_memdoctor.evidence.container_listing import ListedContainer
from kubectl_memdoctor.evidence.failure_tally import RECENT_IDS
from kubectl_memdoctor.evidence.kubelet_log import MOST_OOMS_OF_A_POD, KubeletLogReader
from kubectl_memdoctor.evidence.log_line import LogLine, Writer
from kubectl_memdoctor.evidence.node_evidence import NodeEvidence, SandboxFailures

from .recorded_lines import FIRST_SANDBOX, NAMESPACE, POD, REAL_PODS, SECOND_SANDBOX, UID, feed, recorded_lines

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
ERROR = "rpc error: code = Unknown desc = failed to create containerd task: container init was OOM-killed"
DESCRIPTION = f"{POD}_{NAMESPACE}({UID})"

PLAIN = {
    "run": f"RunPodSandbox from runtime service failed: {ERROR}",
    "sandbox": f'CreatePodSandbox for pod "{DESCRIPTION}" failed: {ERROR}',
    "manager": f'createPodSandbox for pod "{DESCRIPTION}" failed: {ERROR}',
    "sync": (
        f'Error syncing pod {UID} ("{DESCRIPTION}"), skipping: failed to "CreatePodSandbox" for "{DESCRIPTION}" with '
        f'CreatePodSandboxError: "CreatePodSandbox for pod \\"{DESCRIPTION}\\" failed: {ERROR}"'
    ),
}
STRUCTURED = {
    "run": f'"RunPodSandbox from runtime service failed" err="{ERROR}"',
    "sandbox": f'"Failed to create sandbox for pod" err="{ERROR}" pod="{NAMESPACE}/{POD}"',
    "manager": f'"CreatePodSandbox for pod failed" err="{ERROR}" pod="{NAMESPACE}/{POD}"',
    "sync": (
        f'"Error syncing pod, skipping" err="failed to \\"CreatePodSandbox\\" for \\"{DESCRIPTION}\\" with '
        f'CreatePodSandboxError: \\"Failed to create sandbox for pod \\\\\\"{DESCRIPTION}\\\\\\": {ERROR}\\"" '
        f'pod="{NAMESPACE}/{POD}" podUID="{UID}"'
    ),
}
FORMS = {"plain": PLAIN, "structured": STRUCTURED}


def read(*texts: str, writer: Writer = Writer.KUBELET) -> NodeEvidence:
    """One line a second, from noon on."""
    reader = KubeletLogReader("node-1")
    for number, text in enumerate(texts):
        reader.read(LogLine(text, writer, "kubelet.log", number + 1, NOON + timedelta(seconds=number)))
    reader.finish()
    return reader.evidence()


def failures(*texts: str, writer: Writer = Writer.KUBELET) -> SandboxFailures:
    (found,) = read(*texts, writer=writer).sandbox_failures
    return found


RECORDED = (
    ("kubelet_lines/klog-plain.log", 2),
    ("kubelet_lines/klog-structured.log", 3),
    ("kubelet_lines/json.log", 3),
)


@pytest.mark.parametrize(("path", "count"), RECORDED)
def test_recorded_failures_are_counted_once(path: str, count: int) -> None:
    reader = KubeletLogReader()
    feed(reader, path)
    (found,) = reader.evidence().sandbox_failures
    assert (found.namespace, found.name, found.pod_uid) == (NAMESPACE, POD, UID)
    assert found.writer is Writer.KUBELET
    assert found.count == count
    assert found.sandboxes == 2
    assert found.message.startswith("rpc error: code = Unknown desc = ")


def test_a_real_nodes_kubelet() -> None:
    reader = KubeletLogReader()
    feed(reader, "kubelet_lines/kubernetes-1.37.log", Writer.KUBELET)
    found = reader.evidence().sandbox_failures
    assert [(entry.name, entry.count, entry.sandboxes) for entry in found] == REAL_PODS
    assert {entry.namespace for entry in found} == {"memdoctor-calibrate-svmpt"}
    assert all(entry.pod_uid for entry in found)
    assert found[0].message.endswith("container init was OOM-killed (memory limit too low?)")


def test_an_error_of_several_lines_is_read_where_it_is_on_one() -> None:
    reader = KubeletLogReader()
    feed(reader, "kubelet_lines/klog-structured.log")
    (found,) = reader.evidence().sandbox_failures
    assert found.message.endswith("\nOOM: the memory limit could be too low: read from the init process\n")


def test_recorded_oom_events_of_a_pod_and_of_the_node() -> None:
    reader = KubeletLogReader()
    feed(reader, "kubelet_lines/klog-plain.log")
    in_pod = [oom for oom in reader.evidence().kubelet_ooms if oom.cgroup]
    assert [(oom.cgroup.pod_uid, oom.cgroup.container_id) for oom in in_pod if oom.cgroup] == [
        (UID, FIRST_SANDBOX),
        (UID, SECOND_SANDBOX),
    ]
    assert [oom.victim for oom in reader.evidence().kubelet_ooms if not oom.cgroup] == [
        "",
        "Web Content",
        "Web Content",
    ]


@pytest.mark.parametrize("path", ["kubelet_lines/klog-structured.log", "kubelet_lines/json.log"])
def test_a_recorded_victim_of_the_node(path: str) -> None:
    reader = KubeletLogReader("node-1")
    feed(reader, path)
    (oom,) = reader.evidence().kubelet_ooms
    assert (oom.cgroup, oom.victim, oom.node) == (None, 'stress "x"', "node-1")
    assert oom.time is not None
    assert oom.time.tzinfo is not None


def test_containers_that_died_name_the_pod_of_their_ids() -> None:
    reader = KubeletLogReader()
    feed(reader, "kubelet_lines/klog-plain.log")
    owner = ListedContainer(NAMESPACE, POD, UID, "")
    assert reader.died() == {FIRST_SANDBOX[:12]: owner, SECOND_SANDBOX[:12]: owner}


def test_a_death_in_a_pod_without_failures_is_nothing() -> None:
    event = f'{{"ID":"{UID}","Type":"ContainerDied","Data":"{FIRST_SANDBOX}"}}'
    assert not read(f'"SyncLoop (PLEG): event for pod" pod="{NAMESPACE}/{POD}" event={event}')


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "kinds", [["sandbox"], ["manager"], ["sync"], ["sandbox", "manager"], ["run", "manager", "sync"]]
)
def test_any_kinds_of_line_give_the_same_count(form: str, kinds: list[str]) -> None:
    found = failures(*(FORMS[form][kind] for _ in range(3) for kind in kinds))
    assert found.count == 3
    assert (found.namespace, found.name) == (NAMESPACE, POD)
    assert found.message == ERROR
    assert found.first == NOON + timedelta(seconds=kinds.index(next(kind for kind in kinds if kind != "run")))
    assert found.last == NOON + timedelta(seconds=3 * len(kinds) - 1)


@pytest.mark.parametrize("form", FORMS)
def test_a_log_that_begins_and_ends_within_a_failure(form: str) -> None:
    whole = list(FORMS[form].values())
    assert failures(*whole[2:], *whole, *whole[:2]).count == 3 - 1


@pytest.mark.parametrize("form", FORMS)
def test_failures_that_no_line_names_stand_alone(form: str) -> None:
    found = failures(*(FORMS[form]["run"],) * 3)
    assert (found.namespace, found.name, found.pod_uid, found.count) == ("", "", "", 3)


def test_the_pod_that_only_dockershim_names() -> None:
    error = f'rpc error: code = Unknown desc = failed to start sandbox container for pod "{POD}": Error response'
    found = failures(f"RunPodSandbox from runtime service failed: {error}")
    assert (found.namespace, found.name) == ("", POD)


def test_a_name_that_comes_back_keeps_each_uids_failures_apart() -> None:
    again = UID.replace("0b6f", "ffff")
    old, new = list(STRUCTURED.values()), [text.replace(UID, again) for text in STRUCTURED.values()]
    found = read(*old, *old, *new).sandbox_failures
    assert {entry.pod_uid: entry.count for entry in found} == {UID: 2, again: 1}


def test_the_uid_of_a_failure_that_is_cut_off_is_the_newest_of_its_name() -> None:
    found = failures(*STRUCTURED.values(), STRUCTURED["sandbox"])
    assert (found.pod_uid, found.count) == (UID, 2)


def test_other_words_for_the_same_are_understood() -> None:
    found = failures(f'"Could not create the pod sandbox" err="{ERROR}" pod="{NAMESPACE}/{POD}" podUID="{UID}"')
    assert (found.name, found.pod_uid, found.count) == (POD, UID, 1)


SILENT = (
    f'"Failed to get pod sandbox status; Skipping pod" err="x" pod="{NAMESPACE}/{POD}"',
    f'"Pod was deleted and sandbox failed to be created" pod="{NAMESPACE}/{POD}" podUID="{UID}"',
    '"Error syncing pod, skipping" err="failed to \\"StartContainer\\" for \\"a\\" with Backoff: \\"x\\"" pod="a/b"',
    f'Error syncing pod {UID} ("{POD}"), skipping: failed to "KillPodSandbox" for "x" with KillPodSandboxError: "x"',
    f"a program that quotes: {PLAIN['sandbox']}",
    f"a program that quotes: {PLAIN['sync']}",
    f"level=error msg={STRUCTURED['sandbox'].partition(' err=')[0]} err=x pod={NAMESPACE}/{POD}",
    f'level=error msg="RunPodSandbox for &PodSandboxMetadata{{Name:{POD},Uid:{UID},}} failed, error" error="x"',
    "Started watching for new ooms in manager",
)


@pytest.mark.parametrize("text", SILENT)
def test_lines_that_only_look_alike(text: str) -> None:
    assert not read(text, writer=Writer.UNKNOWN)


@pytest.mark.parametrize("writer", [Writer.KERNEL, Writer.CONTAINERD, Writer.CRIO, Writer.DOCKER, Writer.OTHER])
def test_what_others_write_is_not_the_kubelets(writer: Writer) -> None:
    assert not read(*PLAIN.values(), *STRUCTURED.values(), writer=writer)


@pytest.mark.parametrize("form", FORMS)
def test_lines_without_a_writer_are_known_by_their_words(form: str) -> None:
    assert failures(*FORMS[form].values(), writer=Writer.UNKNOWN).count == 1


def test_every_kind_of_line_has_a_needle() -> None:
    logged = (line.text for path, _ in RECORDED for line in recorded_lines(path))
    events = [text for text in logged if "SyncLoop" in text or "OOM event" in text or "oom event" in text]
    assert events
    for text in (*PLAIN.values(), *STRUCTURED.values(), *events):
        assert any(needle in text.encode() for needle in KubeletLogReader.NEEDLES), text


def test_a_time_without_a_zone_is_marked() -> None:
    reader = KubeletLogReader()
    reader.read(LogLine(PLAIN["sync"], Writer.KUBELET, time=NOON, zone_known=False))
    reader.finish()
    (found,) = reader.evidence().sandbox_failures
    assert not found.zone_known


def test_the_time_of_an_oom_is_the_texts_else_one_with_a_zone() -> None:
    text = f'Created an OOM event in container "/kubepods/pod{UID}"'
    at_nine = datetime(2026, 11, 28, 1, 7, 8, 123456, tzinfo=UTC)
    (oom,) = read(f"{text} at 2026-11-28 09:07:08.123456789 +0800 CST m=+12.5").kubelet_ooms
    assert oom.time == at_nine
    (cut,) = read(f"{text} at 2026-11-").kubelet_ooms
    assert cut.time == NOON
    reader = KubeletLogReader()
    reader.read(LogLine(text, Writer.KUBELET, time=NOON, zone_known=False))
    assert reader.evidence().kubelet_ooms[0].time is None


def test_memory_does_not_grow_with_the_log() -> None:
    reader = KubeletLogReader()
    for number in range(2 * RECENT_IDS):
        container = f"{number:064x}"
        path = f"/kubepods/pod{UID}/{container}"
        event = f'{{"ID":"{UID}","Type":"ContainerDied","Data":"{container}"}}'
        texts = (PLAIN["sync"], f'Created an OOM event in container "{path}"', f'"SyncLoop (PLEG)" event={event}')
        for text in texts:
            reader.read(LogLine(text, Writer.KUBELET))
    reader.finish()
    (found,) = reader.evidence().sandbox_failures
    assert found.count == found.sandboxes == 2 * RECENT_IDS
    assert len(found.lines) <= 2
    assert len(reader.evidence().kubelet_ooms) == MOST_OOMS_OF_A_POD


HOSTILE = (
    '"Error syncing pod, skipping" err="' + '\\"' * 500_000,
    'Error syncing pod: failed to "CreatePodSandbox" for "' + "a_" * 500_000,
    "Error syncing pod: " + 'failed to "CreatePodSandbox" for "' * 30_000,
    'createPodSandbox for pod "' + "a" * 1_000_000,
    "createPodSandbox " * 60_000,
    '"create sandbox" event=' + "{" * 1_000_000,
    '"create sandbox" ' + "a=b " * 250_000,
    "Added event &{/" + " oomKill" * 120_000,
    "Got sys oom event: " + "&{1 " * 250_000,
    "RunPodSandbox from " + "a " * 500_000,
    "{" * 1_000_000,
    "[" * 1_000_000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:30] for text in HOSTILE])
def test_hostile_lines_of_a_megabyte(text: str) -> None:
    """That this ends at all is the test: a pattern that went back and forth would take hours."""
    assert not read(text, writer=Writer.UNKNOWN).sandbox_failures


words = st.sampled_from(
    [*PLAIN.values(), *STRUCTURED.values(), '"', "\\", " err=", "pod=", "{", "}", "&{", DESCRIPTION]
)


@given(st.lists(st.one_of(st.text(), words, words.map(lambda text: text[: len(text) // 2])), max_size=6))
def test_no_pod_is_named_that_the_text_does_not_name(parts: list[str]) -> None:
    text = "".join(parts)
    for found in read(text, writer=Writer.UNKNOWN).sandbox_failures:
        assert found.name in text
        assert found.namespace in text
        assert found.pod_uid in text
