"""How fast a cluster is looked at: `ns --all` on a real API server with 1,000 pods and with 100,000.

`PYTHONPATH=tests python -m bench.api` starts etcd and kube-apiserver (python -m tests.cluster.build), fills them, and
prints wall and processor seconds and peak memory of `kubectl memdoctor ns --all`, beside a bare loop that fetches and
drops the same pages, and beside `kubectl get pods -A -o json`, all in one run and as ratios of one another.

Pods are written to etcd directly, as copies of one that the API server made: 100,000 take a minute.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from cluster.api import Api
from cluster.control_plane import ADMIN, ControlPlane, control_plane, token
from cluster.programs import Programs, programs
from cluster.stand_ins import StandIns

from bench.recording import killed_pod, pod, stuck_pod

SMALL, LARGE = 1_000, 100_000
WANTED_GROWTH_MB = 60
ONE_BAD_IN = 5_000
PUTS_AT_ONCE = 100
NO_POD = 99_999_999
"""The number of the pods that are copied, and then deleted."""
PAGE = 500
KUBECTL_MB_PER_POD = 0.15
"""What `kubectl get -o json` takes at its peak; on 100,000 pods that is 14 GB."""


@dataclass(frozen=True)
class Taken:
    """`wall` and `cpu` in seconds, `peak_mb` the largest resident set."""

    wall: float
    cpu: float
    peak_mb: float


def run(command: list[str], environ: dict[str, str]) -> Taken:
    """The child's figures by the kernel's accounting. Raises SystemExit when it fails."""
    started = os.times().elapsed
    child = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = os.times().elapsed - started
    if status:
        raise SystemExit(f"{command[:4]}: exit code {os.waitstatus_to_exitcode(status)}")
    return Taken(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def bare_loop(server: str, authority_file: str) -> None:
    """Fetches all pages over one connection, as compressed JSON, and drops them: what no client can be faster than."""
    headers = {"Authorization": f"Bearer {token(ADMIN)}", "Accept-Encoding": "gzip", "User-Agent": "memdoctor-bench"}
    pool = urllib3.PoolManager(ca_certs=authority_file)
    next_page = ""
    while True:
        target = f"{server}/api/v1/pods?limit={PAGE}" + (f"&continue={next_page}" if next_page else "")
        body = pool.request("GET", target, headers=headers).data
        # The list's metadata stands before its items.
        _, found, rest = body[:2000].partition(b'"continue":"')
        if not found:
            return
        next_page = rest.partition(b'"')[0].decode()


def fill(plane: ControlPlane, before: int, pods: int) -> None:
    """Raises the number of pods from `before` to `pods`."""
    api = plane.api()
    for kind, template in (("healthy", pod("512Mi")), ("killed", killed_pod()), ("stuck", stuck_pod())):
        stored = _template(api, plane, kind, template)
        numbers = [number for number in range(before, pods) if _kind_of(number) == kind]
        for start in range(0, len(numbers), PUTS_AT_ONCE):
            _put(plane, [_copy(stored, kind, number) for number in numbers[start : start + PUTS_AT_ONCE]])


def _kind_of(number: int) -> str:
    return {17: "killed", 18: "stuck"}.get(number % ONE_BAD_IN, "healthy")


def _name(kind: str, number: int) -> str:
    """As long for every number: lengths are part of what etcd holds."""
    return f"{kind}-{number:08}"


def _template(api: Api, plane: ControlPlane, kind: str, content: dict[str, Any]) -> bytes:
    """The bytes that etcd holds of a pod that went through admission and got its status."""
    name = _name(kind, NO_POD)
    content["metadata"] = {"name": name, "namespace": "default", "labels": {"app": name}, "annotations": {"of": name}}
    # Admission fills in the limit: the mistyped one is less than any request.
    del content["spec"]["containers"][0]["resources"]["requests"]["memory"]
    content["spec"]["nodeName"] = "worker-1"
    created = api.create(content)
    api.write_status(created, content["status"])
    answer = _etcd(plane, "range", {"key": _base64(_key(name))})
    api.delete(created)
    return base64.b64decode(answer["kvs"][0]["value"]).replace(created["metadata"]["uid"].encode(), _uid(0).encode())


def _uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def _copy(stored: bytes, kind: str, number: int) -> tuple[bytes, bytes]:
    name, first = _name(kind, number), _name(kind, NO_POD)
    value = stored.replace(first.encode(), name.encode()).replace(_uid(0).encode(), _uid(number).encode())
    return _key(name), value


def _key(name: str) -> bytes:
    return f"/registry/pods/default/{name}".encode()


def _put(plane: ControlPlane, entries: list[tuple[bytes, bytes]]) -> None:
    puts = [{"requestPut": {"key": _base64(key), "value": _base64(value)}} for key, value in entries]
    _etcd(plane, "txn", {"success": puts})


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _etcd(plane: ControlPlane, call: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"{plane.etcd}/v3/kv/{call}", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        result: dict[str, Any] = json.load(answer)
        return result


def measure(plane: ControlPlane, pods: int, times: int) -> Taken:
    """Prints one size's figures; returns memdoctor's."""
    kubeconfig = str(plane.kubeconfig())
    environ = {**os.environ, "KUBECONFIG": kubeconfig, "KUBECTL_PATH": str(plane.programs.kubectl)}
    program = [sys.executable, "-m", "kubectl_memdoctor", "ns", "--all", "-o", "json", "--fail-on", "never"]
    floor = [sys.executable, "-m", "bench.api", "--loop", plane.server, str(plane.authority_file)]
    kubectl = [str(plane.programs.kubectl), "get", "pods", "-A", "-o", "json"]
    print(f"{pods} pods")
    least = _report("bare loop", [run(floor, environ) for _ in range(times)], None)
    found = _report("memdoctor ns --all", [run(program, environ) for _ in range(times)], least)
    needed = pods * KUBECTL_MB_PER_POD
    if needed < _free_mb():
        _report("kubectl get pods -A -o json", [run(kubectl, environ)], least)
    else:
        print(
            f"  kubectl get pods -A -o json: not run: it takes about {needed:.0f} MB of memory, more than is free here"
        )
    return found


def _report(what: str, runs: list[Taken], floor: Taken | None) -> Taken:
    """The best run, which the machine's other work disturbed least."""
    best = min(runs, key=lambda taken: taken.wall)
    ratio = f" ({best.wall / floor.wall:.2f} x the bare loop)" if floor else ""
    print(f"  {what}: {best.wall:.2f} s{ratio}, {best.cpu:.2f} s of processor, {best.peak_mb:.0f} MB", flush=True)
    return best


def _free_mb() -> float:
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(meminfo["MemAvailable"].split()[0]) / 1024


def _installed() -> Programs:
    found = programs()
    if found is None or found.missing():
        raise SystemExit("the test cluster's programs are not built: python -m tests.cluster.build")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="wall time and peak memory of `ns --all` on a real API server")
    parser.add_argument("--loop", nargs=2, metavar=("SERVER", "CA"), help="only run the bare loop")
    parser.add_argument("--times", type=int, default=3, help="runs of which the best counts")
    given = parser.parse_args()
    if given.loop:
        bare_loop(*given.loop)
        return
    with (
        tempfile.TemporaryDirectory(prefix="memdoctor-bench-") as folder,
        control_plane(_installed(), Path(folder)) as plane,
    ):
        stand_ins = StandIns(plane.api())
        stand_ins.namespace("default")
        stand_ins.node("worker-1", "containerd://2.2.0")
        before, peaks = 0, []
        for pods in (SMALL, LARGE):
            fill(plane, before, pods)
            peaks.append(measure(plane, pods, given.times).peak_mb)
            before = pods
    growth = peaks[1] - peaks[0]
    reached = growth <= WANTED_GROWTH_MB
    print(
        f"{growth:.0f} MB more memory for {LARGE} than for {SMALL} pods; wanted: at most {WANTED_GROWTH_MB} MB:",
        end=" ",
    )
    print("reached" if reached else "MISSED")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
