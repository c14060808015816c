"""Lines of a node, and the ways in which they are carried.

The report is in the words of kernel 6.1 (mm/oom_kill.c, mm/memcontrol.c), written for these tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

UID = "968128e3-5456-11e9-8874-000c29721372"
CONTAINER = "88060715b1f1e5f8b4a2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718"
_POD = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
_SCOPE = f"{_POD}/cri-containerd-{CONTAINER}.scope"

_DECIDED = f"""\
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-{CONTAINER}.scope,mems_allowed=0,\
oom_memcg={_SCOPE},task_memcg={_SCOPE},task=java,pid=4242,uid=0"""
_KILLED = "Killed process 4242 (java) total-vm:2048000kB, anon-rss:64000kB, file-rss:0kB, shmem-rss:0kB"
_TABLE = (
    "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
    "[   4242]     0  4242   512000    16000   200704        0           984 java",
)
REPORT = (
    "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=984",
    "CPU: 1 PID: 4242 Comm: java Not tainted 6.1.0-18-amd64 #1  Debian 6.1.76-1",
    "memory: usage 65536kB, limit 65536kB, failcnt 31",
    f"Memory cgroup stats for {_SCOPE}:",
    "Tasks state (memory values in pages):",
    *_TABLE,
    _DECIDED,
    f"Memory cgroup out of memory: {_KILLED}, UID:0 pgtables:196kB oom_score_adj:984",
)
REST_OF_OLD_REPORT = (
    f"Task in {_SCOPE} killed as a result of limit of {_SCOPE}",
    "memory: usage 65536kB, limit 65536kB, failcnt 31",
    *_TABLE,
    "Memory cgroup out of memory: Kill process 4242 (java) score 984 or sacrifice child",
    _KILLED,
)
"""As kernels before 5.0 write it, without its beginning."""
QUIET = ("docker0: port 3(veth1) entered disabled state", "IPVS: rr: TCP 10.96.0.10:53 - no destination available")
SYNC_FAILURE = f"""\
E1128 18:45:29.000000    1234 pod_workers.go:951] "Error syncing pod, skipping" \
err="failed to \\"CreatePodSandbox\\" for \\"web-1_default({UID})\\" with CreatePodSandboxError: \
\\"Failed to create sandbox: read init-p: connection reset by peer\\"" pod="default/web-1" podUID="{UID}\""""
TASK_OOM = f'time="2026-11-28T18:45:30Z" level=info msg="TaskOOM event container_id:\\"{CONTAINER}\\""'
DOCKER_PS = f"""CONTAINER ID   IMAGE   COMMAND    CREATED         STATUS    PORTS   NAMES
0123456789ab   pause   "/pause"   2 seconds ago   Created           k8s_POD_web-1_default_{UID}_7
"""
CADVISOR = (
    "# HELP container_oom_events_total Count of out of memory events\n"
    f'container_oom_events_total{{container="app",id="{_SCOPE}",image="x",namespace="default",pod="web-1"}} 3\n'
)
SUMMARY = json.dumps(
    {
        "node": {"nodeName": "worker-1"},
        "pods": [
            {
                "podRef": {"name": "web-1", "namespace": "default", "uid": UID},
                "containers": [{"name": "app", "memory": {"workingSetBytes": 1000}}],
            }
        ],
    }
)


def dmesg(lines: Iterable[str], start: float = 9485.0) -> str:
    return "".join(f"[{start + number / 1000:12.6f}] {line}\n" for number, line in enumerate(lines))


def _entry(line: str, number: int, **fields: object) -> dict[str, object]:
    return {
        "__CURSOR": f"s=1;i={number}",
        "__REALTIME_TIMESTAMP": str(1795891527000000 + number * 1000),
        "_TRANSPORT": "kernel",
        "_SOURCE_MONOTONIC_TIMESTAMP": str(9485000000 + number * 1000),
        "_HOSTNAME": "worker-1",
        "SYSLOG_IDENTIFIER": "kernel",
        "MESSAGE": line,
        **fields,
    }


def _each(form: Callable[[str, int], str]) -> Callable[[Iterable[str]], str]:
    return lambda lines: "".join(form(line, number) for number, line in enumerate(lines))


def _exported(line: str, number: int) -> str:
    return "".join(f"{name}={value}\n" for name, value in _entry(line, number).items()) + "\n"


def _dmesg_json(lines: Iterable[str]) -> str:
    fields = (
        ('"pri": 4', f'"time": {9485 + number / 1000:12.6f}', f'"msg": {json.dumps(line)}')
        for number, line in enumerate(lines)
    )
    entries = ("{\n         " + ",\n         ".join(each) + "\n      }" for each in fields)
    return '{\n   "dmesg": [\n      ' + ",".join(entries) + "\n   ]\n}\n"


CARRIED: Mapping[str, Callable[[Iterable[str]], str]] = {
    "dmesg": dmesg,
    "dmesg -T": _each(lambda line, _: f"[Sat Nov 28 18:45:27 2026] {line}\n"),
    "dmesg -T, Chinese": _each(lambda line, _: f"[六 11月 28 18:45:27 2026] {line}\n"),
    "dmesg -x": _each(lambda line, number: f"kern  :warn  : [ 9485.{number:06}] {line}\n"),
    "dmesg -r": _each(lambda line, number: f"<4>[ 9485.{number:06}] {line}\n"),
    "dmesg --time-format iso": _each(lambda line, number: f"2026-11-28T18:45:27,{number:06}+08:00 {line}\n"),
    "dmesg with callers": _each(lambda line, number: f"[ 9485.{number:06}] [ T4242] {line}\n"),
    "dmesg --json": _dmesg_json,
    "dmesg without times": _each(lambda line, _: f"{line}\n"),
    "/dev/kmsg": _each(lambda line, number: f"4,{number},9485{number:06},-;{line}\n"),
    "rsyslog": _each(lambda line, number: f"Nov 28 18:45:27 worker-1 kernel: [ 9485.{number:06}] {line}\n"),
    "rsyslog ISO": _each(lambda line, number: f"2026-11-28T18:45:27.{number:06}+00:00 worker-1 kernel: {line}\n"),
    "journalctl short-full": _each(lambda line, _: f"Sat 2026-11-28 18:45:27 UTC worker-1 kernel: {line}\n"),
    "journalctl short-unix": _each(lambda line, number: f"1795891527.{number:06} worker-1 kernel: {line}\n"),
    "journalctl short-monotonic": _each(lambda line, number: f"[ 9485.{number:06}] worker-1 kernel: {line}\n"),
    "journalctl json": _each(lambda line, number: json.dumps(_entry(line, number), separators=(",", ":")) + "\n"),
    "journalctl json, bytes": _each(
        lambda line, number: json.dumps(_entry(line, number, MESSAGE=[*line.encode()]), separators=(",", ":")) + "\n"
    ),
    "journalctl json-sse": _each(lambda line, number: f"data: {json.dumps(_entry(line, number))}\n\n"),
    "journalctl json-pretty": _each(
        lambda line, number: json.dumps(_entry(line, number), indent="\t", separators=(",", " : ")) + "\n"
    ),
    "journalctl export": _each(_exported),
    "CRI container log": _each(lambda line, number: f"2026-11-28T19:00:00.5Z stdout F [ 9485.{number:06}] {line}\n"),
    "docker json-file": _each(
        lambda line, number: (
            json.dumps({"log": f"[ 9485.{number:06}] {line}\n", "stream": "stdout", "time": "2026-11-28T19:00:00Z"})
            + "\n"
        )
    ),
    "CRLF": _each(lambda line, number: f"[ 9485.{number:06}] {line}\r\n"),
}
