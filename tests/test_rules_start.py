"""Rules on pods that cannot start: limits, error words, runtimes and events, and what they must tell apart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typed import convert

from kubectl_memdoctor import objects, quantity
from kubectl_memdoctor.context import ClusterContext, NamespaceContext, PodContext
from kubectl_memdoctor.examination import findings_on
from kubectl_memdoctor.finding import Confidence, Evidence, Finding, MemoryChange, Severity
from kubectl_memdoctor.rules import rules
from kubectl_memdoctor.sandbox_minimum import ClusterBounds
from kubectl_memdoctor.survey import Survey, pod_contexts

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = 86400.0

SANDBOX = "sandbox-memory-limit-too-small"
NOT_MEMORY = "sandbox-failure-not-memory"
VOLUME = "volume-memory-limit-too-small"
LATENT = "pod-memory-limit-below-sandbox-minimum"
FRACTION = "memory-quantity-fractional"
CONTAINER = "container-memory-limit-too-small"
LIMIT_RANGE = "limitrange-memory-default-too-small"

CONFIRMED, LIKELY, POSSIBLE = Confidence.CONFIRMED, Confidence.LIKELY, Confidence.POSSIBLE

_KUBELET = "Failed to create pod sandbox: rpc error: code = Unknown desc = "
_SHIM = f"{_KUBELET}failed to create containerd task: failed to create shim task: OCI runtime create failed: "
_RUNC = f"{_SHIM}runc create failed: unable to start container process: "
RUNC_OOM = f"{_RUNC}container init was OOM-killed (memory limit too low?): unknown"
RUNC_MKDIR = (
    f"{_RUNC}unable to apply cgroup configuration: "
    "mkdir /sys/fs/cgroup/memory/kubepods/pod6f1/4d4f: cannot allocate memory: unknown"
)
RUNC_OPAQUE = f"{_RUNC}can't get final child's PID from pipe: EOF: unknown"
STOPPED = (
    f'{_KUBELET}failed to start sandbox container task "4d4f0123456789ab": cannot start a stopped process: unknown'
)
CRUN_OOM = f"{_SHIM}OOM: the memory limit could be too low: read from the init process: unknown"
CRUN_OPAQUE = f"{_SHIM}read from the init process: unknown"
CRUN_NO_FILE = (
    f"{_SHIM}creating cgroup directory `/sys/fs/cgroup/memory/kubepods/pod6f1/4d4f`: No such file or directory: unknown"
)
RESET = f"{_SHIM}read init-p: connection reset by peer: unknown"
DOCKER_18 = (
    'Failed create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container for pod "busybox": '
    "Error response from daemon: OCI runtime create failed: container_linux.go:344: starting container process caused "
    "\"process_linux.go:297: getting the final child's pid from pipe caused "
    '\\"read init-p: connection reset by peer\\"": unknown'
)
CRIO_REFUSES = f"{_KUBELET}pod set memory limit 4194304 too low; should be at least 12582912 bytes"
UNHEARD_OF = f"{_KUBELET}the frobnicator could not frobnicate"
CNI = (
    f'{_KUBELET}failed to setup network for sandbox "4d4f0123456789ab": plugin type="calico" failed (add): Unauthorized'
)
IMAGE = f'{_KUBELET}failed to get sandbox image "registry.k8s.io/pause:3.9": failed to pull image: i/o timeout'
HANDLER = f'{_KUBELET}unable to get OCI runtime for sandbox "4d4f0123456789ab": no runtime for "nosuch" is configured'
SECCOMP = f"{_RUNC}seccomp: config provided but seccomp not supported: unknown"
DEADLINE = "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded"
CHANGED = "Pod sandbox changed, it will be killed and re-created."
NO_SPACE = (
    'MountVolume.SetUp failed for volume "kube-api-access-x7k2p" : write /var/lib/kubelet/pods/6f1/volumes/'
    "kubernetes.io~projected/kube-api-access-x7k2p/..2026_11_23/token: no space left on device"
)


def at(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).isoformat().replace("+00:00", "Z")


def container(name: str = "app", limit: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"limits": {"memory": limit}} if limit is not None else {}, **more}


def waiting_pod(
    limit: str | None = "300m",
    *,
    containers: list[dict[str, Any]] | None = None,
    age: float = 600,
    condition: str | None = "PodReadyToStartContainers",
    spec: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A pod on node worker-1 whose sandbox is not ready."""
    made = containers if containers is not None else [container(limit=limit)]
    waiting = "PodInitializing" if spec and spec.get("initContainers") else "ContainerCreating"
    conditions = [{"type": condition, "status": "False", "lastTransitionTime": at(age)}] if condition else []
    return {
        "metadata": {
            "name": "web-0",
            "namespace": "shop",
            "uid": "u1",
            "creationTimestamp": at(age),
            **(metadata or {}),
        },
        "spec": {"nodeName": "worker-1", "containers": made, **(spec or {})},
        "status": {
            "phase": "Pending",
            "startTime": at(age),
            "conditions": [{"type": "PodScheduled", "status": "True"}, *conditions],
            "containerStatuses": [{"name": entry["name"], "state": {"waiting": {"reason": waiting}}} for entry in made],
            **(status or {}),
        },
    }


def event(
    message: str,
    reason: str = "FailedCreatePodSandBox",
    *,
    ago: float = 30,
    count: int = 4,
    uid: str = "u1",
    field: str = "",
) -> objects.Event:
    value = {
        "metadata": {"uid": f"{reason}-{ago}-{message[-20:]}"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": uid, "fieldPath": field},
        "reason": reason,
        "message": message,
        "type": "Normal" if reason in ("SandboxChanged", "Pulling") else "Warning",
        "count": count,
        "firstTimestamp": at(ago + 300),
        "lastTimestamp": at(ago),
    }
    return convert(value, objects.Event)


def node(runtime: str = "containerd://1.7.24", *, cpu: str = "4", **info: str) -> objects.Node:
    value = {
        "metadata": {"name": "worker-1"},
        "status": {
            "capacity": {"cpu": cpu},
            "nodeInfo": {"containerRuntimeVersion": runtime, "kernelVersion": "6.1.0-18", **info},
            "conditions": [{"type": "MemoryPressure", "status": "False"}],
        },
    }
    return convert(value, objects.Node)


def context(
    pod: dict[str, Any],
    *events: objects.Event,
    where: objects.Node | None = None,
    bounds: ClusterBounds | None = None,
    **cluster: Any,
) -> PodContext:
    by_uid: dict[str, list[objects.Event]] = {}
    for entry in events:
        by_uid.setdefault(entry.involved_object.uid, []).append(entry)
    nodes = {} if where is None else {"worker-1": where}
    surroundings = ClusterContext(now=NOW, pod_events=by_uid, nodes=nodes, **cluster)
    return PodContext(convert(pod, objects.Pod), surroundings, bounds=bounds)


def found(subject: PodContext | NamespaceContext) -> list[Finding]:
    """What the whole program finds: every rule that concerns the subject, superseded findings left out."""
    return findings_on(subject, rules())


def verdicts(subject: PodContext | NamespaceContext) -> list[tuple[str, Confidence]]:
    return [(finding.rule, finding.confidence) for finding in found(subject)]


def only(subject: PodContext | NamespaceContext) -> Finding:
    findings = found(subject)
    assert len(findings) == 1, findings
    return findings[0]


# --- limit x words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        RUNC_OOM,
        RUNC_MKDIR,
        RUNC_OPAQUE,
        STOPPED,
        CRUN_OOM,
        CRUN_OPAQUE,
        CRUN_NO_FILE,
        RESET,
        DOCKER_18,
        UNHEARD_OF,
        SECCOMP,
    ],
)
@pytest.mark.parametrize("limit", ["300m", "1", "4095", "0.5"])
def test_under_one_page_arithmetic_decides(limit: str, words: str) -> None:
    assert verdicts(context(waiting_pod(limit), event(words), where=node())) == [(SANDBOX, CONFIRMED)]


@pytest.mark.parametrize(
    ("limit", "words", "expected"),
    [
        ("4096", RUNC_MKDIR, LIKELY),
        ("100Ki", RUNC_OOM, CONFIRMED),
        ("100Ki", RUNC_OPAQUE, LIKELY),
        ("32Ki", UNHEARD_OF, LIKELY),
        ("1Mi", RUNC_OOM, CONFIRMED),
        ("1Mi", RUNC_OPAQUE, LIKELY),
        ("2Mi", RUNC_OOM, CONFIRMED),
        ("2Mi", RUNC_OPAQUE, POSSIBLE),
        ("2Mi", STOPPED, POSSIBLE),
        ("2Mi", UNHEARD_OF, POSSIBLE),
        ("100Ki", CRUN_OOM, CONFIRMED),
        ("32Ki", CRUN_OPAQUE, LIKELY),
        ("100Ki", CRUN_OPAQUE, POSSIBLE),
        ("8Mi", RUNC_OOM, CONFIRMED),
        ("8Mi", RUNC_OPAQUE, POSSIBLE),
        ("20Mi", RUNC_OOM, CONFIRMED),
        ("30Mi", RUNC_OOM, LIKELY),
    ],
)
def test_above_one_page_words_and_limit_decide_together(limit: str, words: str, expected: Confidence) -> None:
    finding = only(context(waiting_pod(limit), event(words), where=node()))
    assert (finding.rule, finding.confidence) == (SANDBOX, expected)
    assert finding.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("limit", "words", "expected"),
    [
        ("512Mi", RUNC_OPAQUE, LIKELY),
        ("512Mi", RESET, LIKELY),
        ("512Mi", DOCKER_18, LIKELY),
        ("512Mi", CRUN_NO_FILE, LIKELY),
        ("512Mi", UNHEARD_OF, LIKELY),
        ("512Mi", RUNC_OOM, POSSIBLE),
        ("512Mi", CRUN_OOM, POSSIBLE),
        ("512Mi", CNI, CONFIRMED),
        ("512Mi", SECCOMP, CONFIRMED),
        ("512Mi", DEADLINE, CONFIRMED),
        ("30Mi", RUNC_OPAQUE, POSSIBLE),
        ("2Mi", CRUN_OPAQUE, POSSIBLE),
        (None, RUNC_OOM, POSSIBLE),
        (None, RUNC_OPAQUE, LIKELY),
        (None, CNI, CONFIRMED),
        ("0", RUNC_OPAQUE, LIKELY),
    ],
)
def test_the_same_words_with_an_ample_limit_are_not_memory(limit: str | None, words: str, expected: Confidence) -> None:
    finding = only(context(waiting_pod(limit), event(words), where=node()))
    assert (finding.rule, finding.confidence) == (NOT_MEMORY, expected)
    assert finding.severity is Severity.INFO
    assert [entry.cause for entry in finding.ruled_out] == ["memory limit"]
    assert finding.remedy is None


@pytest.mark.parametrize("words", [CNI, IMAGE, HANDLER])
@pytest.mark.parametrize(("limit", "latent"), [("300m", CONFIRMED), ("32Ki", LIKELY), ("1Mi", POSSIBLE)])
def test_a_cause_before_the_pods_cgroup_is_not_memory_but_the_limit_comes_next(
    limit: str, words: str, latent: Confidence
) -> None:
    expected = [(LATENT, latent), (NOT_MEMORY, CONFIRMED)]
    assert verdicts(context(waiting_pod(limit), event(words), where=node())) == expected


def test_another_cause_within_the_cgroup_stands_where_the_limit_may_do() -> None:
    assert (NOT_MEMORY, CONFIRMED) in verdicts(context(waiting_pod("8Mi"), event(SECCOMP), where=node()))


@pytest.mark.parametrize(
    ("limit", "words", "expected"),
    [
        ("1Mi", (RUNC_OPAQUE, RUNC_OOM), (SANDBOX, CONFIRMED)),
        ("2Mi", (STOPPED, RUNC_OOM), (SANDBOX, CONFIRMED)),
        ("32Ki", (CNI, CRUN_OPAQUE), (SANDBOX, LIKELY)),
        ("8Mi", (CNI, RUNC_OPAQUE), (NOT_MEMORY, CONFIRMED)),
        ("512Mi", (RUNC_OPAQUE, CNI), (NOT_MEMORY, CONFIRMED)),
        ("512Mi", (UNHEARD_OF, RUNC_OPAQUE), (NOT_MEMORY, LIKELY)),
    ],
)
def test_retries_alternate_between_wordings(
    limit: str, words: tuple[str, str], expected: tuple[str, Confidence]
) -> None:
    for first, second in (words, words[::-1]):
        pod = context(waiting_pod(limit), event(first, ago=20), event(second, ago=35), where=node())
        assert expected in verdicts(pod)


def test_failures_of_long_ago_do_not_count_beside_new_ones() -> None:
    pod = context(waiting_pod("8Mi"), event(CNI, ago=20), event(RUNC_OOM, ago=3000), where=node())
    assert (NOT_MEMORY, CONFIRMED) in verdicts(pod)


# --- runtimes and nodes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runtime", "handler", "limit", "words", "expected"),
    [
        ("containerd://1.7.24", None, "4Mi", RESET, (SANDBOX, POSSIBLE)),
        ("containerd://1.7.24", "crun", "2Mi", CRUN_OPAQUE, (NOT_MEMORY, POSSIBLE)),
        ("containerd://1.7.24", "crun", "8Mi", CRUN_OPAQUE, (NOT_MEMORY, LIKELY)),
        ("containerd://1.7.24", "kata", "128Mi", UNHEARD_OF, (SANDBOX, POSSIBLE)),
        ("containerd://1.7.24", "kata", "512Mi", UNHEARD_OF, (NOT_MEMORY, POSSIBLE)),
        ("containerd://1.7.24", "kata", "8Gi", UNHEARD_OF, (NOT_MEMORY, LIKELY)),
        ("containerd://1.7.24", "runsc", "128Mi", UNHEARD_OF, (NOT_MEMORY, POSSIBLE)),
        ("cri-o://1.26.4", None, "4Mi", CRIO_REFUSES, (SANDBOX, CONFIRMED)),
        ("cri-o://1.26.4", None, "4Mi", UNHEARD_OF, (SANDBOX, LIKELY)),
        ("docker://18.9.1", None, "300m", DOCKER_18, (SANDBOX, CONFIRMED)),
        ("docker://18.9.1", None, "512Ki", DOCKER_18, (SANDBOX, LIKELY)),
        ("docker://18.9.1", None, "10Mi", DOCKER_18, (SANDBOX, POSSIBLE)),
        ("", None, "4Mi", UNHEARD_OF, (SANDBOX, POSSIBLE)),
    ],
)
def test_the_runtime_decides_how_much_is_small(
    runtime: str, handler: str | None, limit: str, words: str, expected: tuple[str, Confidence]
) -> None:
    spec = {"runtimeClassName": "special"} if handler else {}
    handlers = {"special": handler} if handler else {}
    pod = context(waiting_pod(limit, spec=spec), event(words), where=node(runtime), runtime_handlers=handlers)
    assert verdicts(pod) == [expected]


def test_a_runtime_class_that_cannot_be_read_counts_by_its_name() -> None:
    pod = context(waiting_pod("128Mi", spec={"runtimeClassName": "kata"}), event(UNHEARD_OF), where=node())
    assert verdicts(pod) == [(SANDBOX, POSSIBLE)]


def test_a_node_with_many_cpus_leaves_more_in_doubt() -> None:
    small, large = node(cpu="4"), node(cpu="256")
    assert verdicts(context(waiting_pod("64Mi"), event(RUNC_OOM), where=small)) == [(NOT_MEMORY, POSSIBLE)]
    assert verdicts(context(waiting_pod("64Mi"), event(RUNC_OOM), where=large)) == [(SANDBOX, LIKELY)]
    assert verdicts(context(waiting_pod("64Mi"), event(RUNC_OPAQUE), where=small)) == [(NOT_MEMORY, LIKELY)]
    assert verdicts(context(waiting_pod("64Mi"), event(RUNC_OPAQUE), where=large)) == [(NOT_MEMORY, POSSIBLE)]


def test_a_node_that_cannot_be_read_leaves_the_whole_span() -> None:
    finding = only(context(waiting_pod("300m"), event(RUNC_OOM)))
    assert (finding.rule, finding.confidence) == (SANDBOX, CONFIRMED)
    assert any("not known" in sentence for sentence in finding.details)


def test_the_users_own_figure_decides() -> None:
    def told(limit: str, minimum: str) -> list[tuple[str, Confidence]]:
        pod = waiting_pod(limit)
        return verdicts(context(pod, event(RUNC_OPAQUE), where=node(), minimum_bytes=quantity.value(minimum)))

    assert told("64Mi", "128Mi") == [(SANDBOX, LIKELY)]
    assert told("64Mi", "64Mi") == [(NOT_MEMORY, LIKELY)]
    assert told("8Mi", "4Mi") == [(NOT_MEMORY, LIKELY)]


def test_other_pods_of_the_cluster_narrow_the_doubt() -> None:
    ready = ClusterBounds(smallest_ready_bytes=4 << 20, smallest_ready_pod="shop/fine")
    failed = ClusterBounds(largest_failed_bytes=8 << 20, largest_failed_pod="shop/broken")

    def told(bounds: ClusterBounds | None) -> list[tuple[str, Confidence]]:
        return verdicts(context(waiting_pod("6Mi"), event(RESET), where=node(), bounds=bounds))

    assert told(None) == [(SANDBOX, POSSIBLE)]
    assert told(ready) == [(NOT_MEMORY, POSSIBLE)]
    assert told(failed) == [(SANDBOX, LIKELY)]


def test_the_survey_finds_those_pods() -> None:
    ready = waiting_pod("4Mi", metadata={"name": "fine", "uid": "u2"})
    ready["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    survey = Survey(32 << 20)
    for pod in (ready, waiting_pod("6Mi")):
        survey.add(convert(pod, objects.Pod))
    cluster = ClusterContext(now=NOW, nodes={"worker-1": node()}, pod_events={"u1": [event(RESET)]})
    broken = next(entry for entry in pod_contexts(survey, cluster) if entry.pod.metadata.name == "web-0")
    finding = only(broken)
    assert (finding.rule, finding.confidence) == (NOT_MEMORY, POSSIBLE)
    assert "pod shop/fine runs with 4Mi on the same kind of node" in [entry.value for entry in finding.evidence]


def test_a_cri_o_sandbox_without_a_process_is_no_such_pod() -> None:
    ready = waiting_pod("300m", metadata={"name": "empty", "uid": "u2"})
    ready["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    small = waiting_pod("20Ki", metadata={"name": "small", "uid": "u3"})
    small["status"]["conditions"] = ready["status"]["conditions"]
    survey = Survey(32 << 20)
    for pod in (ready, small, waiting_pod("4Mi")):
        survey.add(convert(pod, objects.Pod))
    cluster = ClusterContext(now=NOW, nodes={"worker-1": node("cri-o://1.31.0")}, pod_events={"u1": [event(RESET)]})
    broken = next(entry for entry in pod_contexts(survey, cluster) if entry.pod.metadata.name == "web-0")
    assert verdicts(broken) == [(SANDBOX, POSSIBLE)]


# --- events: present, expired, of somebody else --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("300m", [(SANDBOX, CONFIRMED)]),
        ("32Ki", [(SANDBOX, LIKELY)]),
        ("4Mi", [(SANDBOX, POSSIBLE)]),
        ("64Mi", []),
        (None, []),
    ],
)
@pytest.mark.parametrize("condition", ["PodReadyToStartContainers", "PodHasNetwork", None])
def test_stuck_for_a_day_without_an_event(
    condition: str | None, limit: str | None, expected: list[tuple[str, Confidence]]
) -> None:
    assert verdicts(context(waiting_pod(limit, age=DAY, condition=condition), where=node())) == expected


def test_a_pod_that_has_just_been_made_may_still_start() -> None:
    pod = context(waiting_pod("300m", age=20), where=node())
    assert verdicts(pod) == [(LATENT, CONFIRMED)]
    assert verdicts(context(waiting_pod("4Mi", age=20), where=node())) == [(LATENT, POSSIBLE)]
    assert verdicts(context(waiting_pod("64Mi", age=20), where=node())) == []


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("300m", [(SANDBOX, CONFIRMED)]), ("4Mi", [(SANDBOX, POSSIBLE)]), ("512Mi", [(NOT_MEMORY, LIKELY)])],
)
def test_sandboxes_made_again_and_again_tell_enough(limit: str, expected: list[tuple[str, Confidence]]) -> None:
    pod = context(waiting_pod(limit, age=20), event(CHANGED, "SandboxChanged", count=12), where=node())
    assert verdicts(pod) == expected


def test_one_change_of_the_sandbox_is_no_loop() -> None:
    changed = event(CHANGED, "SandboxChanged", count=1)
    assert verdicts(context(waiting_pod("512Mi"), changed, where=node())) == []


@pytest.mark.parametrize("uid", ["u0", "another"])
def test_a_predecessors_events_are_not_the_pods(uid: str) -> None:
    pod = waiting_pod("512Mi", age=20)
    assert verdicts(context(pod, event(RUNC_OPAQUE, uid=uid), where=node())) == []
    assert verdicts(context(pod, event(RUNC_OPAQUE), where=node())) == [(NOT_MEMORY, LIKELY)]


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "config" : configmap "web" not found'),
        ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) web-1'),
        ("NetworkNotReady", "network is not ready: container runtime network not ready: cni plugin not initialized"),
        ("FailedCreatePodContainer", "unable to ensure pod container exists: failed to create container"),
    ],
)
def test_what_comes_before_the_sandbox_is_not_the_sandbox(reason: str, message: str) -> None:
    """Nor is the limit forgotten: it comes next."""
    pod = context(waiting_pod("4Mi"), event(message, reason), where=node())
    assert verdicts(pod) == [(LATENT, POSSIBLE)]
    assert verdicts(context(waiting_pod("64Mi"), event(message, reason), where=node())) == []


def test_a_mount_that_failed_at_first_does_not_hide_the_loop_after_it() -> None:
    mount = event(
        'MountVolume.SetUp failed for volume "x" : configmap "kube-root-ca.crt" not registered', "FailedMount", ago=500
    )
    pod = context(waiting_pod("4Mi"), mount, event(CHANGED, "SandboxChanged", count=9), where=node())
    assert verdicts(pod) == [(SANDBOX, POSSIBLE)]


@pytest.mark.parametrize("condition", ["PodReadyToStartContainers", None])
def test_a_container_event_means_that_there_is_a_sandbox(condition: str | None) -> None:
    """A large image takes long; without the condition (Kubernetes before 1.29) the pod looks as if it were stuck."""
    pulling = event('Pulling image "web"', "Pulling", count=1, field="spec.containers{app}")
    pod = waiting_pod("8Mi", condition=condition)
    assert verdicts(context(pod, pulling, event(RUNC_OPAQUE, ago=400), where=node())) == [(LATENT, POSSIBLE)]
    assert verdicts(context(pod, event(RUNC_OPAQUE), where=node())) == [(SANDBOX, POSSIBLE)]


def test_a_loop_is_one_line_of_evidence_with_its_count() -> None:
    texts = [RUNC_MKDIR.replace("4d4f", f"{n:012x}") for n in range(5)]
    pod = context(waiting_pod(), *(event(text, ago=30 + n, count=2) for n, text in enumerate(texts)), where=node())
    events = [entry for entry in only(pod).evidence if entry.source == "event"]
    assert [(entry.field, entry.count) for entry in events] == [("FailedCreatePodSandBox", 10)]


# --- whose limit it is ---------------------------------------------------------------------------------------------


def test_two_containers_of_which_one_is_unlimited_leave_the_pod_unlimited() -> None:
    containers = [container("app", "300m"), container("proxy")]
    pod = context(waiting_pod(containers=containers), event(RUNC_OPAQUE), where=node())
    assert verdicts(pod) == [(FRACTION, CONFIRMED), (NOT_MEMORY, LIKELY)]
    because = next(finding for finding in found(pod) if finding.rule == NOT_MEMORY).ruled_out[0].because
    assert because == "the pod as a whole has no memory limit, since container proxy has no memory limit"


def test_the_limits_of_two_containers_count_together() -> None:
    containers = [container("app", "300m"), container("proxy", "128m")]
    finding = only(context(waiting_pod(containers=containers), event(RUNC_OPAQUE), where=node()))
    assert finding.memory is not None
    assert (finding.memory.limit_bytes, finding.memory.limit_quantity) == (1, "428m")
    assert finding.details[0] == (
        "The pod's limit is app 300m + proxy 128m, together 0.428 byte; the kubelet rounds it up to 1 byte, "
        "the kernel down to 0 pages."
    )
    assert finding.details[1:3] == (
        '300m is 0.3 byte ("m" is thousandths).',
        '128m is 0.128 byte ("m" is thousandths).',
    )
    assert changes(finding) == {"app": "300Mi", "proxy": "128Mi"}


def test_only_the_mistyped_unit_is_mended_where_that_is_enough() -> None:
    containers = [container("app", "300m"), container("proxy", "8Mi")]
    finding = only(context(waiting_pod(containers=containers), event(RUNC_OPAQUE), where=node()))
    assert changes(finding) == {"app": "300Mi"}


def changes(finding: Finding) -> dict[str | None, str | None]:
    assert finding.remedy is not None
    return {change.container: change.limit for change in finding.remedy.changes}


@pytest.mark.parametrize(
    ("init", "app", "limit_bytes", "sentence"),
    [
        (
            [container("setup", "2Mi")],
            "300m",
            2 << 20,
            "It is the limit of init container setup, the largest that the pod ever needs.",
        ),
        (
            [container("mesh", "1Mi", restartPolicy="Always")],
            "300m",
            (1 << 20) + 1,
            '300m is 0.3 byte ("m" is thousandths).',
        ),
        ([container("setup", "300m")], "1Mi", 1 << 20, "The limit 1Mi is 1048576 bytes."),
    ],
)
def test_sidecars_and_init_containers_decide(
    init: list[dict[str, Any]], app: str, limit_bytes: int, sentence: str
) -> None:
    pod = waiting_pod(app, spec={"initContainers": init})
    finding = next(entry for entry in found(context(pod, event(RUNC_OOM), where=node())) if entry.rule == SANDBOX)
    assert finding.memory is not None
    assert finding.memory.limit_bytes == limit_bytes
    assert sentence in finding.details
    assert_one_sum(finding)


def assert_one_sum(finding: Finding) -> None:
    """Where several limits make the figure, the first sentence adds them up; nobody wrote the sum."""
    assert finding.memory is not None
    written = {entry.value for entry in finding.evidence if entry.field and entry.field.endswith("limits.memory")}
    assert ("together" in finding.details[0]) == (len(written) > 1)


def test_an_init_container_without_a_limit_leaves_the_pod_unlimited() -> None:
    pod = waiting_pod("300m", spec={"initContainers": [container("setup")]})
    assert (NOT_MEMORY, LIKELY) in verdicts(context(pod, event(RUNC_OPAQUE), where=node()))


def test_overhead_counts() -> None:
    pod = waiting_pod("300m", spec={"overhead": {"memory": "120Mi"}, "runtimeClassName": "runc"})
    assert (NOT_MEMORY, LIKELY) in verdicts(context(pod, event(RUNC_OPAQUE), where=node()))
    small = waiting_pod("300m", spec={"overhead": {"memory": "1Mi"}, "runtimeClassName": "runc"})
    finding = next(entry for entry in found(context(small, event(RUNC_OOM), where=node())) if entry.rule == SANDBOX)
    assert finding.details[0].startswith(
        "The pod's limit is app 300m + the RuntimeClass's overhead 1Mi, together 1048576.3"
    )


def test_a_pod_level_limit_replaces_the_sum() -> None:
    pod = waiting_pod("64Mi", spec={"resources": {"limits": {"memory": "300m"}}})
    finding = only(context(pod, event(RUNC_OPAQUE), where=node()))
    assert (finding.rule, finding.confidence) == (SANDBOX, CONFIRMED)
    assert "It is the limit of the whole pod, spec.resources." in finding.details
    assert changes(finding) == {None: "300Mi"}
    ample = waiting_pod("300m", spec={"resources": {"limits": {"memory": "64Mi"}}})
    assert (NOT_MEMORY, LIKELY) in verdicts(context(ample, event(RUNC_OPAQUE), where=node()))


def test_a_limit_that_a_limit_range_gave() -> None:
    note = "LimitRanger plugin set: memory limit for container app"
    pod = waiting_pod("300m", metadata={"annotations": {"kubernetes.io/limit-ranger": note}})
    finding = only(context(pod, event(RUNC_OPAQUE), where=node()))
    assert finding.memory is not None
    assert finding.memory.limit_source == "limitRange"
    assert "The manifest gives container app no limit: a LimitRange of the namespace did." in finding.details


def test_a_static_pods_events_carry_its_config_hash() -> None:
    annotations = {"kubernetes.io/config.hash": "0badc0de", "kubernetes.io/config.mirror": "0badc0de"}
    pod = waiting_pod("300m", metadata={"annotations": annotations}, age=20)
    assert verdicts(context(pod, event(RUNC_OPAQUE, uid="0badc0de"), where=node())) == [(SANDBOX, CONFIRMED)]


@pytest.mark.parametrize("spec", [{"os": {"name": "windows"}}, {"nodeSelector": {"kubernetes.io/os": "windows"}}])
def test_windows_pods_are_not_looked_at(spec: dict[str, Any]) -> None:
    pod = waiting_pod("4Mi", spec=spec)
    assert verdicts(context(pod, event(RUNC_OPAQUE), where=node(operatingSystem="windows"))) == []


def test_a_pod_that_says_nothing_of_windows_is_known_by_its_node() -> None:
    pod = waiting_pod("4Mi")
    assert verdicts(context(pod, event(RUNC_OPAQUE), where=node(operatingSystem="windows"))) == []


@pytest.mark.parametrize("status", [{"phase": "Succeeded"}, {"phase": "Failed", "reason": "Evicted"}])
def test_a_pod_at_its_end_is_not_starting(status: dict[str, Any]) -> None:
    ended = waiting_pod("64Mi", status=status)
    assert not {NOT_MEMORY, SANDBOX} & {rule for rule, _ in verdicts(context(ended, event(RUNC_OPAQUE), where=node()))}


def test_a_pod_that_is_being_deleted_is_not_starting() -> None:
    pod = waiting_pod("64Mi", metadata={"deletionTimestamp": at(10)})
    assert verdicts(context(pod, event(RUNC_OPAQUE), where=node())) == []


# --- volumes -------------------------------------------------------------------------------------------------------

TOKEN = {"name": "kube-api-access-x7k2p", "projected": {}}
DISK = {"name": "kube-api-access-x7k2p", "configMap": {}}


@pytest.mark.parametrize(
    ("limit", "volumes", "expected"),
    [
        ("300m", [TOKEN], [(VOLUME, CONFIRMED)]),
        ("4096", [TOKEN], [(VOLUME, CONFIRMED)]),
        ("300m", [], [(VOLUME, CONFIRMED)]),
        ("100Ki", [TOKEN], [(VOLUME, LIKELY)]),
        ("64Mi", [TOKEN], []),
        (None, [TOKEN], []),
        ("300m", [DISK], [(LATENT, CONFIRMED)]),
    ],
)
def test_a_tmpfs_without_room(
    limit: str | None, volumes: list[dict[str, Any]], expected: list[tuple[str, Confidence]]
) -> None:
    pod = waiting_pod(limit, spec={"volumes": volumes})
    assert verdicts(context(pod, event(NO_SPACE, "FailedMount"), where=node())) == expected


@pytest.mark.parametrize(("limit", "expected"), [("768Ki", [(VOLUME, LIKELY)]), ("3Mi", [])])
def test_a_large_secret_needs_more_than_the_sandbox(limit: str, expected: list[tuple[str, Confidence]]) -> None:
    pod = waiting_pod(limit, spec={"volumes": [TOKEN], "runtimeClassName": "crun"})
    assert verdicts(context(pod, event(NO_SPACE, "FailedMount"), where=node())) == expected


def test_a_small_figure_of_the_users_leaves_the_token_no_room() -> None:
    pod = waiting_pod("8Ki", spec={"volumes": [TOKEN]})
    told = verdicts(context(pod, event(NO_SPACE, "FailedMount"), where=node(), minimum_bytes=4096))
    assert told == [(VOLUME, CONFIRMED)]


def test_a_sandbox_that_fails_after_the_volumes_is_the_finding() -> None:
    pod = waiting_pod("1Mi", spec={"volumes": [TOKEN]})
    events = event(NO_SPACE, "FailedMount", ago=400), event(RUNC_OOM)
    assert verdicts(context(pod, *events, where=node())) == [(SANDBOX, CONFIRMED)]


def test_the_volume_finding_says_what_comes_next() -> None:
    finding = only(
        context(waiting_pod("300m", spec={"volumes": [TOKEN]}), event(NO_SPACE, "FailedMount"), where=node())
    )
    assert finding.details[-1].startswith("Once they fit, the sandbox comes next. containerd 1.7.24 on node worker-1")
    assert changes(finding) == {"app": "300Mi"}


# --- limits that do not hurt yet -----------------------------------------------------------------------------------


def running_pod(limit: str, **status: Any) -> dict[str, Any]:
    running = {"name": "app", "state": {"running": {"startedAt": at(300)}}}
    ready = {"type": "PodReadyToStartContainers", "status": "True"}
    return waiting_pod(
        limit, status={"phase": "Running", "conditions": [ready], "containerStatuses": [running], **status}
    )


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("32Ki", [(LATENT, POSSIBLE)]), ("4Mi", []), ("20Mi", []), ("1Gi", [])],
)
def test_a_running_pod_proves_its_own_limit(limit: str, expected: list[tuple[str, Confidence]]) -> None:
    assert verdicts(context(running_pod(limit), where=node())) == expected


def test_a_running_pod_whose_limit_was_lowered_proves_nothing() -> None:
    before = {"name": "app", "state": {"running": {"startedAt": at(300)}}, "resources": {"limits": {"memory": "64Mi"}}}
    pod = running_pod("4Mi", containerStatuses=[before])
    assert (LATENT, POSSIBLE) in verdicts(context(pod, where=node()))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("300m", [(LATENT, CONFIRMED)]),
        ("32Ki", [(LATENT, LIKELY)]),
        ("4Mi", [(LATENT, POSSIBLE)]),
        ("30Mi", []),
        (None, []),
    ],
)
def test_a_pod_without_a_node(limit: str | None, expected: list[tuple[str, Confidence]]) -> None:
    pod = waiting_pod(limit, spec={"nodeName": ""}, condition=None)
    assert verdicts(context(pod)) == expected


# --- fractions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "request_", "severity", "limit_to", "request_to"),
    [
        ("300m", None, Severity.WARNING, "300Mi", None),
        (None, "128m", Severity.WARNING, None, "128Mi"),
        ("1181116006400m", None, Severity.INFO, "1127Mi", None),
        ("512m", "512m", Severity.WARNING, "512Mi", None),
        ("1Gi", "0.5", Severity.WARNING, None, "500Mi"),
    ],
)
def test_fractions_of_a_byte(
    limit: str | None, request_: str | None, severity: Severity, limit_to: str | None, request_to: str | None
) -> None:
    resources = {"limits": {"memory": limit} if limit else {}, "requests": {"memory": request_} if request_ else {}}
    app, other = {"name": "app", "resources": resources}, container("other")
    pod = waiting_pod(containers=[app, other], status={"phase": "Running", "conditions": []})
    finding = only(context(pod, where=node()))
    assert (finding.rule, finding.severity, finding.confidence) == (FRACTION, severity, CONFIRMED)
    assert finding.remedy is not None
    assert finding.remedy.changes == (MemoryChange(container="app", limit=limit_to, request=request_to),)


@pytest.mark.parametrize("text", ["300Mi", "1.5Gi", "300", "1e3", "2000m", "0", "nonsense", ""])
def test_whole_bytes_are_no_fraction(text: str) -> None:
    pod = waiting_pod(
        containers=[container("app", text), container("other")], status={"phase": "Running", "conditions": []}
    )
    assert FRACTION not in {rule for rule, _ in verdicts(context(pod, where=node()))}


# --- containers that cannot be created or started ------------------------------------------------------------------


def refused(
    reason: str, message: str, limit: str | None = "300m", *, others: Iterable[str | None] = ()
) -> dict[str, Any]:
    """A pod whose sandbox is ready and whose container app cannot be created."""
    containers = [container("app", limit), *(container(f"other-{n}", text) for n, text in enumerate(others))]
    status = {"name": "app", "state": {"waiting": {"reason": reason, "message": message}}}
    ready = {"type": "PodReadyToStartContainers", "status": "True"}
    return waiting_pod(containers=containers, status={"conditions": [ready], "containerStatuses": [status]})


@pytest.mark.parametrize(
    ("runtime", "limit", "message", "expected"),
    [
        ("cri-o://1.31.0", "300m", "set memory limit 1 too low; should be at least 512000 bytes", CONFIRMED),
        ("cri-o://1.26.0", "4Mi", "set memory limit 4194304 too low; should be at least 12582912", CONFIRMED),
        ("docker://20.10.7", "5Mi", "Error response from daemon: Minimum memory limit allowed is 6MB", CONFIRMED),
        ("docker://19.3.1", "3Mi", "Error response from daemon: Minimum memory limit allowed is 4MB", CONFIRMED),
        ("containerd://1.7.24", "300m", RUNC_MKDIR.removeprefix(_KUBELET), CONFIRMED),
        ("containerd://1.7.24", "1Mi", RUNC_OOM.removeprefix(_KUBELET), CONFIRMED),
        ("containerd://1.7.24", "1Mi", RUNC_OPAQUE.removeprefix(_KUBELET), LIKELY),
        ("containerd://1.7.24", "8Mi", RUNC_OPAQUE.removeprefix(_KUBELET), POSSIBLE),
        ("containerd://1.7.24", "512Mi", RUNC_OPAQUE.removeprefix(_KUBELET), None),
        ("containerd://1.7.24", "512Mi", RUNC_OOM.removeprefix(_KUBELET), None),
        ("containerd://1.7.24", "1Mi", 'exec: "serve": executable file not found in $PATH', None),
        ("containerd://1.7.24", "1Mi", "the frobnicator could not frobnicate", None),
        ("containerd://1.7.24", None, RUNC_OOM.removeprefix(_KUBELET), None),
    ],
)
def test_a_container_that_cannot_be_created(
    runtime: str, limit: str | None, message: str, expected: Confidence | None
) -> None:
    pod = context(refused("CreateContainerError", message, limit, others=[None]), where=node(runtime))
    told = [confidence for rule, confidence in verdicts(pod) if rule == CONTAINER]
    assert told == ([expected] if expected else [])


# --- LimitRanges ---------------------------------------------------------------------------------------------------


def namespace(
    default: Any = None, request: Any = None, *nodes: objects.Node, kind: str = "Container"
) -> NamespaceContext:
    item: dict[str, Any] = {"type": kind}
    if default is not None:
        item["default"] = {"memory": default}
    if request is not None:
        item["defaultRequest"] = {"memory": request}
    value = {"metadata": {"name": "defaults", "namespace": "shop", "uid": "l1"}, "spec": {"limits": [item]}}
    limit_range = convert(value, objects.LimitRange)
    named = {f"worker-{n}": entry for n, entry in enumerate(nodes)}
    return NamespaceContext("shop", ClusterContext(now=NOW, nodes=named, limit_ranges={"shop": [limit_range]}))


@pytest.mark.parametrize(
    ("default", "request_", "nodes", "expected"),
    [
        ("300m", None, [], [(Severity.WARNING, CONFIRMED)]),
        ("32Ki", None, [], [(Severity.WARNING, LIKELY)]),
        ("4Mi", None, [], [(Severity.WARNING, POSSIBLE)]),
        ("64Mi", None, [], []),
        ("0", None, [], []),
        ("nonsense", None, [], []),
        ("8Mi", None, ["cri-o://1.26.0"], [(Severity.WARNING, LIKELY)]),
        ("8Mi", None, ["cri-o://1.26.0", "containerd://1.7.24"], [(Severity.WARNING, POSSIBLE)]),
        ("1181116006400m", None, [], [(Severity.INFO, CONFIRMED)]),
        (None, "128m", [], [(Severity.WARNING, CONFIRMED)]),
        ("300m", "300m", [], [(Severity.WARNING, CONFIRMED)]),
        ("300m", "128m", [], [(Severity.WARNING, CONFIRMED), (Severity.WARNING, CONFIRMED)]),
        (None, None, [], []),
    ],
)
def test_defaults_that_are_too_small(
    default: str | None, request_: str | None, nodes: list[str], expected: list[tuple[Severity, Confidence]]
) -> None:
    subject = namespace(default, request_, *map(node, nodes))
    findings = [finding for finding in found(subject) if finding.rule == LIMIT_RANGE]
    assert [(finding.severity, finding.confidence) for finding in findings] == expected


def test_a_windows_node_has_no_say_in_a_default() -> None:
    assert found(namespace("64Mi", None, node("containerd://1.7.24", operatingSystem="windows"))) == []
    told = verdicts(namespace("8Mi", None, node("containerd://1.7.24", operatingSystem="windows")))
    assert told == [(LIMIT_RANGE, POSSIBLE)]


def test_the_patch_of_a_limit_range_writes_what_was_meant() -> None:
    finding = only(namespace("300m", "300m"))
    assert finding.remedy is not None
    assert finding.remedy.command is not None
    patch = json.loads(finding.remedy.command.split(" -p ")[1].strip("'"))
    assert [(step["path"], step["value"]) for step in patch] == [
        ("/spec/limits/0/default/memory", "300Mi"),
        ("/spec/limits/0/defaultRequest/memory", "300Mi"),
    ]


@pytest.mark.parametrize("kind", ["Pod", "PersistentVolumeClaim"])
def test_only_containers_get_defaults(kind: str) -> None:
    assert found(namespace("300m", None, kind=kind)) == []


# --- the incident --------------------------------------------------------------------------------------------------


def test_the_incident() -> None:
    reset, pipe = (
        DOCKER_18,
        DOCKER_18.replace("getting the final child's pid from pipe", "copying bootstrap data to pipe"),
    )
    pod = context(
        waiting_pod("300m", condition=None),
        event(reset, ago=90, count=4),
        event(pipe, ago=30, count=9),
        event(CHANGED, "SandboxChanged", ago=30, count=12),
        where=node("docker://18.9.1", kernelVersion="3.10.0-957.el7.x86_64"),
    )
    finding = only(pod)
    assert (finding.rule, finding.severity, finding.confidence) == (SANDBOX, Severity.CRITICAL, CONFIRMED)
    assert finding.message == "cannot start: its memory limit is too small for the pod's sandbox"
    assert finding.details[0] == (
        'The limit 300m is 0.3 byte ("m" is thousandths); the kubelet rounds it up to 1 byte, '
        "the kernel down to 0 pages."
    )
    assert "docker 18.9.1 with runc on node worker-1 needs between" in finding.details[1]
    assert [(entry.field, entry.count) for entry in finding.evidence if entry.source == "event"] == [
        ("FailedCreatePodSandBox", 9),
        ("FailedCreatePodSandBox", 4),
        ("SandboxChanged", 12),
    ]
    assert Evidence(
        source="pod", object="pod/web-0", field="spec.containers[0].resources.limits.memory", value="300m"
    ) in (finding.evidence)
    assert {entry.cause for entry in finding.ruled_out} == {"scheduling", "network", "image", "node memory"}
    assert finding.remedy is not None
    assert finding.remedy.text == "Did you mean 300Mi?"


def test_the_incidents_events_with_a_sane_limit() -> None:
    pod = context(waiting_pod("512Mi"), event(DOCKER_18), where=node("docker://18.9.1"))
    finding = only(pod)
    assert finding.rule == NOT_MEMORY
    assert finding.ruled_out[0].because == "the pod's limit of 512Mi is 32 times the 16Mi that a sandbox may need"


# --- what always holds ---------------------------------------------------------------------------------------------

LIMITS = st.none() | st.sampled_from(
    ["0", "1", "300m", "4095", "4Ki", "100Ki", "1Mi", "4Mi", "16Mi", "20Mi", "64Mi", "8Gi"]
)
WORDS = st.lists(
    st.sampled_from(
        [RUNC_OOM, RUNC_MKDIR, RUNC_OPAQUE, STOPPED, CRUN_OOM, CRUN_NO_FILE, DOCKER_18, CNI, IMAGE, SECCOMP, DEADLINE]
    )
    | st.text(max_size=60),
    max_size=3,
)
NODES = st.none() | st.sampled_from(["containerd://1.7.24", "cri-o://1.31.0", "docker://18.9", "unknown"]).map(node)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=75)
@given(LIMITS, WORDS, NODES, st.sampled_from([20.0, 600.0, DAY]), st.sampled_from([None, "crun", "kata", "own"]))
def test_one_cause_a_pod_and_never_surer_than_the_limit_allows(
    limit: str | None, words: list[str], where: objects.Node | None, age: float, handler: str | None
) -> None:
    spec = {"runtimeClassName": handler} if handler else {}
    events = [event(text, ago=20 + n) for n, text in enumerate(words)]
    pod = context(waiting_pod(limit, age=age, spec=spec), *events, where=where)
    findings = found(pod)
    names = [finding.rule for finding in findings]
    assert len(names) == len(set(names))
    assert not {SANDBOX, NOT_MEMORY} <= set(names)
    minimum = pod.minimum
    for finding in findings:
        if finding.rule != SANDBOX:
            continue
        assert limit is not None
        in_bytes = quantity.value(limit)
        assert 0 < in_bytes < minimum.ample_bytes
        if finding.confidence is CONFIRMED:
            assert in_bytes < 4096 or any("OOM" in text for text in words)
        if not words and in_bytes >= minimum.low_bytes:
            assert finding.confidence is POSSIBLE
