"""How fast a saved cluster is looked at, and how much memory that takes: 1,000 pods against 100,000.

`python -m bench.recording` writes recordings as kubectl does (pretty-printed, gzipped, and compact as the API answers),
runs `kubectl memdoctor ns --all -f FILE -o json` on each, and writes pods per second, megabytes per second and peak
memory into docs/performance.md, beside what merely parsing the same file takes with msgspec into nothing.

The rate between the small and the large recording is the one that counts; the start of Python and its modules is in
both and falls out of it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import page

SMALL, LARGE = 1_000, 100_000
PODS_PER_NODE = 100
PODS_PER_WORKLOAD = 10
ONE_BAD_IN = 5_000

PROGRAM = [sys.executable, "-m", "kubectl_memdoctor", "ns", "--all", "-o", "json", "--fail-on", "never", "-f"]
MSGSPEC_SKIP = [
    sys.executable,
    "-c",
    "import msgspec, sys; msgspec.json.decode(open(sys.argv[1], 'rb').read(), type=msgspec.Raw)",
]


def pod(memory: str) -> dict[str, Any]:
    """A small pod as kubectl shows it. @WORKLOAD@, @NUMBER@ and @NODE@ stand for what differs."""
    resources = {"limits": {"memory": memory}, "requests": {"cpu": "100m", "memory": "128Mi"}}
    condition_types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "creationTimestamp": "2026-11-20T08:00:00Z",
            "generateName": "web-@WORKLOAD@-5d8f9c7b6d-",
            "generation": 1,
            "labels": {"app": "web-@WORKLOAD@", "pod-template-hash": "5d8f9c7b6d"},
            "name": "web-@WORKLOAD@-5d8f9c7b6d-@NUMBER@",
            "namespace": "team-@NAMESPACE@",
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": "ReplicaSet",
                    "name": "web-@WORKLOAD@-5d8f9c7b6d",
                    "uid": "aaaaaaaa-0000-4000-8000-@WORKLOAD@",
                }
            ],
            "resourceVersion": "10@NUMBER@",
            "uid": "bbbbbbbb-0000-4000-8000-@NUMBER@",
        },
        "spec": {
            "containers": [
                {
                    "image": "registry.example/shop/web:1.4.2",
                    "imagePullPolicy": "IfNotPresent",
                    "name": "app",
                    "resources": resources,
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "volumeMounts": [
                        {
                            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                            "name": "kube-api-access-7xk2p",
                            "readOnly": True,
                        }
                    ],
                }
            ],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "nodeName": "worker-@NODE@",
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccount": "default",
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            "tolerations": [
                {
                    "effect": "NoExecute",
                    "key": f"node.kubernetes.io/{taint}",
                    "operator": "Exists",
                    "tolerationSeconds": 300,
                }
                for taint in ("not-ready", "unreachable")
            ],
            "volumes": [
                {
                    "name": "kube-api-access-7xk2p",
                    "projected": {
                        "defaultMode": 420,
                        "sources": [
                            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                            {
                                "configMap": {
                                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                                    "name": "kube-root-ca.crt",
                                }
                            },
                            {
                                "downwardAPI": {
                                    "items": [
                                        {
                                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                            "path": "namespace",
                                        }
                                    ]
                                }
                            },
                        ],
                    },
                }
            ],
        },
        "status": {
            "conditions": [
                {
                    "lastProbeTime": None,
                    "lastTransitionTime": "2026-11-20T08:00:04Z",
                    "status": "True",
                    "type": condition_type,
                }
                for condition_type in condition_types
            ],
            "containerStatuses": [
                {
                    "containerID": "containerd://" + "b" * 64,
                    "image": "registry.example/shop/web:1.4.2",
                    "imageID": "registry.example/shop/web@sha256:" + "c" * 64,
                    "lastState": {},
                    "name": "app",
                    "ready": True,
                    "restartCount": 0,
                    "started": True,
                    "state": {"running": {"startedAt": "2026-11-20T08:00:03Z"}},
                }
            ],
            "hostIP": "10.0.0.1",
            "phase": "Running",
            "podIP": "10.1.2.3",
            "podIPs": [{"ip": "10.1.2.3"}],
            "qosClass": "Burstable",
            "startTime": "2026-11-20T08:00:00Z",
        },
    }


def killed_pod() -> dict[str, Any]:
    bad = pod("256Mi")
    status = bad["status"]["containerStatuses"][0]
    status["restartCount"] = 4
    status["lastState"] = {
        "terminated": {
            "exitCode": 137,
            "finishedAt": "2026-11-20T08:59:00Z",
            "reason": "OOMKilled",
            "startedAt": "2026-11-20T08:10:00Z",
        }
    }
    return bad


def stuck_pod() -> dict[str, Any]:
    bad = pod("300m")
    status = bad["status"]
    status["phase"] = "Pending"
    for condition in status["conditions"][:-1]:
        condition["status"] = "False"
    status["containerStatuses"][0] |= {
        "ready": False,
        "started": False,
        "state": {"waiting": {"reason": "ContainerCreating"}},
    }
    return bad


def node() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"creationTimestamp": "2026-10-01T08:00:00Z", "name": "worker-@NUMBER@", "uid": "node-@NUMBER@"},
        "status": {
            "allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"},
            "conditions": [
                {
                    "lastHeartbeatTime": "2026-11-20T09:00:00Z",
                    "lastTransitionTime": "2026-10-01T08:00:00Z",
                    "reason": "KubeletHasSufficientMemory",
                    "status": "False",
                    "type": "MemoryPressure",
                }
            ],
            "nodeInfo": {
                "containerRuntimeVersion": "containerd://2.2.0",
                "kernelVersion": "6.12.0",
                "kubeletVersion": "v1.36.1",
                "operatingSystem": "linux",
            },
        },
    }


def event() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "count": 1,
        "firstTimestamp": "2026-11-20T08:00:02Z",
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": "web-@WORKLOAD@-5d8f9c7b6d-@NUMBER@",
            "namespace": "team-@NAMESPACE@",
            "uid": "bbbbbbbb-0000-4000-8000-@NUMBER@",
        },
        "kind": "Event",
        "lastTimestamp": "2026-11-20T08:00:02Z",
        "message": "Successfully pulled image in 812ms",
        "metadata": {
            "creationTimestamp": "2026-11-20T08:00:02Z",
            "name": "web-@NUMBER@.18",
            "namespace": "team-@NAMESPACE@",
            "uid": "eeeeeeee-0000-4000-8000-@NUMBER@",
        },
        "reason": "Pulled",
        "source": {"component": "kubelet", "host": "worker-@NODE@"},
        "type": "Normal",
    }


def objects(pods: int, indent: int | None) -> Iterator[str]:
    """What `kubectl get pods,events,nodes -A` lists, as JSON texts."""
    healthy, killed, stuck = (_text(entry, indent) for entry in (pod("512Mi"), killed_pod(), stuck_pod()))
    for number in range(pods):
        bad = number % ONE_BAD_IN
        yield _numbered(killed if bad == 17 else stuck if bad == 18 else healthy, number)
    happened = _text(event(), indent)
    for number in range(0, pods, 5):
        yield _numbered(happened, number)
    machine = _text(node(), indent)
    for number in range(pods // PODS_PER_NODE):
        yield _numbered(machine, number)


def _text(entry: dict[str, Any], indent: int | None) -> str:
    if indent is None:
        return json.dumps(entry, separators=(",", ":"))
    return json.dumps(entry, indent=indent).replace("\n", "\n" + " " * 2 * indent)


def _numbered(text: str, number: int) -> str:
    workload = number // PODS_PER_WORKLOAD
    return (
        text.replace("@NUMBER@", f"{number:05x}")
        .replace("@WORKLOAD@", f"{workload}")
        .replace("@NAMESPACE@", f"{workload // 25}")
        .replace("@NODE@", f"{number // PODS_PER_NODE}")
    )


def write_recording(path: Path, pods: int, indent: int | None) -> None:
    between, first, last = (",", "[", "]") if indent is None else (",\n        ", "[\n        ", "\n    ]")
    opening, closing = ('{"apiVersion":"v1","items":', ',"kind":"List"}')
    if indent is not None:
        opening, closing = '{\n    "apiVersion": "v1",\n    "items": ', ',\n    "kind": "List"\n}\n'
    with path.open("w") as file:
        file.write(opening)
        for place, text in enumerate(objects(pods, indent)):
            file.write((between if place else first) + text)
        file.write(last + closing)


@dataclass(frozen=True)
class Taken:
    """`seconds` of the processor, `peak_mb` the largest resident set, `output` what was printed."""

    seconds: float
    peak_mb: float
    output: bytes


def run(command: list[str], path: Path) -> Taken:
    """The child's own figures, from the kernel's accounting. Raises SystemExit when it fails."""
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([*command, str(path)], stdout=output, cwd=Path(__file__).parent.parent)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"{command[1:4]} on {path.name}: exit code {os.waitstatus_to_exitcode(status)}")
        output.seek(0)
        peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
        return Taken(usage.ru_utime + usage.ru_stime, peak, output.read())


def best(command: list[str], path: Path, times: int) -> Taken:
    return min((run(command, path) for _ in range(times)), key=lambda taken: taken.seconds)


@dataclass(frozen=True, slots=True)
class Style:
    """How a recording is written: `indent` as of json.dumps, and whether it is gzipped."""

    name: str
    indent: int | None
    gzipped: bool = False


STYLES = (
    Style("pretty-printed, as kubectl writes it", 4),
    Style("the same, gzipped", 4, gzipped=True),
    Style("compact, as the API answers", None),
)


def write(folder: Path, style: Style, pods: int) -> tuple[Path, int]:
    """The file, and how many bytes of JSON it holds."""
    plain = folder / f"{style.indent}-{pods}.json"
    if not plain.exists():
        write_recording(plain, pods, style.indent)
    size = plain.stat().st_size
    if not style.gzipped:
        return plain, size
    packed = plain.with_suffix(".json.gz")
    if not packed.exists():
        with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    return packed, size


def compare(folder: Path, style: Style, times: int) -> list[str]:
    """A row of the table: seconds are the processor's, rates those between the small and the large recording."""
    (small, small_bytes), (large, large_bytes) = (write(folder, style, pods) for pods in (SMALL, LARGE))
    few, many = (best(PROGRAM, path, times) for path in (small, large))
    seconds = many.seconds - few.seconds
    return [
        f"{style.name} ({large_bytes / LARGE / 1000:.1f} kB a pod)",
        f"{large_bytes / 1e6:,.0f} MB",
        f"{(LARGE - SMALL) / seconds:,.0f}",
        f"{(large_bytes - small_bytes) / 1e6 / seconds:.0f}",
        "" if style.gzipped else f"{seconds / _parsing(small, large, times):.1f}",
        f"{many.peak_mb:.0f} MB",
        f"{many.peak_mb - few.peak_mb:.0f} MB",
    ]


def _parsing(small: Path, large: Path, times: int) -> float:
    few, many = (best(MSGSPEC_SKIP, path, times) for path in (small, large))
    return many.seconds - few.seconds


HEADERS = (
    f"{LARGE:,} pods, {LARGE // 5:,} events, {LARGE // PODS_PER_NODE:,} nodes",
    "JSON",
    "pods/s",
    "MB/s",
    "x parsing alone (msgspec into nothing)",
    "peak memory",
    f"more than for {SMALL:,} pods",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="pods per second and peak memory of `ns --all -f FILE`")
    parser.add_argument("--folder", type=Path, help="keep the recordings here, and use those that are there")
    parser.add_argument("--times", type=int, default=3, help="runs of which the best counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memdoctor-bench-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [compare(folder, style, given.times) for style in STYLES]
    page.write_block("recordings", f"{page.taken_on()}\n\n{page.table(HEADERS, rows)}")


if __name__ == "__main__":
    main()
