"""How fast a node's log is read, and how much memory that takes: 64 MB against 512 MB, beside grep.

`python -m bench.node_logs` writes a log of kernel, kubelet, containerd and others as rsyslog does, in which hardly any
line is of interest, reads it with `read_node_logs`, and has `grep -cE` count the lines that hold the same needles.
Seconds are the processor's. The rate between the small and the large log is the one that counts; the start of Python is
in both and falls out of it. Then a log in which every line is of interest.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from bench import page
from bench.recording import Taken, run
from kubectl_memdoctor.node_logs.log_pass import Readers
from kubectl_memdoctor.node_logs.prefilter import Sieve

SMALL_MB, LARGE_MB, WORST_MB = 64, 512, 4
POOL_BYTES = 8 << 20

READ = [
    sys.executable,
    "-c",
    (
        "import sys; from datetime import UTC, datetime\n"
        "from kubectl_memdoctor.node_logs.files import open_logs\n"
        "from kubectl_memdoctor.node_logs.reading import read_node_logs\n"
        "logs = read_node_logs(open_logs(sys.argv[1:], None), now=datetime.now(UTC))\n"
        "print(len(logs.evidence.kills), sum(entry.count for entry in logs.evidence.sandbox_failures))"
    ),
]

_KLOG = "I1127 {time}.{micros:06}    1234"
QUIET = (
    "kernel: [{uptime:12.6f}] docker0: port 3(veth{id}) entered disabled state",
    "kernel: [{uptime:12.6f}] IPVS: rr: TCP 10.96.0.10:53 - no destination available",
    (
        f"kubelet[1234]: {_KLOG} reconciler_common.go:251] "
        '"operationExecutor.VerifyControllerAttachedVolume started for volume \\"kube-api-access-{id}\\" '
        '(UniqueName: \\"kubernetes.io/projected/{uid}-kube-api-access-{id}\\") pod \\"web-{id}\\" (UID: \\"{uid}\\") '
        '" pod="shop/web-{id}"'
    ),
    (
        f"kubelet[1234]: {_KLOG} pod_startup_latency_tracker.go:104] "
        '"Observed pod startup duration" pod="shop/web-{id}" podStartSLOduration=2.1 pullingImage="0001-01-01"'
    ),
    (
        'kubelet[1234]: E1127 {time}.{micros:06}    1234 pod_workers.go:1298] "Error syncing pod, skipping" '
        'err="failed to \\"StartContainer\\" for \\"app\\" with CrashLoopBackOff: \\"back-off 5m0s restarting failed '
        'container=app pod=web-{id}_shop({uid})\\"" pod="shop/web-{id}" podUID="{uid}"'
    ),
    (
        'containerd[900]: time="2026-11-27T{time}.{micros:06}789Z" level=info msg="StopContainer for '
        '\\"{id}{id}{id}\\" returns successfully"'
    ),
    (
        'containerd[900]: time="2026-11-27T{time}.{micros:06}789Z" level=info msg="ImageUpdate event '
        'name:\\"registry.example/shop/web:1.4.2\\" labels:{{key:\\"io.cri-containerd.image\\" value:\\"managed\\"}}"'
    ),
    "systemd[1]: cri-containerd-{id}{id}{id}.scope: Consumed 1.245s CPU time.",
    "sshd[2211]: Accepted publickey for core from 10.0.0.1 port 53122 ssh2: ED25519 SHA256:{id}{id}",
    "chronyd[612]: Selected source 10.0.0.7 (ntp.example)",
)
_SCOPE = "/kubepods/burstable/pod{uid}/{id}{id}{id}{id}{id}{id}{id}{id}"
REPORT = (
    "kernel: [{uptime:12.6f}] java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=984",
    "kernel: [{uptime:12.6f}] memory: usage 65536kB, limit 65536kB, failcnt 31",
    "kernel: [{uptime:12.6f}] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
    "kernel: [{uptime:12.6f}] [{pid:7}]     0 {pid:5}   512000    16000   200704        0           984 java",
    (
        "kernel: [{uptime:12.6f}] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={id},mems_allowed=0,"
        f"oom_memcg={_SCOPE},task_memcg={_SCOPE},"
        "task=java,pid={pid},uid=0"
    ),
    (
        "kernel: [{uptime:12.6f}] Memory cgroup out of memory: Killed process {pid} (java) total-vm:2048000kB, "
        "anon-rss:64000kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:196kB oom_score_adj:984"
    ),
)
FAILURE = (
    'kubelet[1234]: E1127 {time}.{micros:06}    1234 pod_workers.go:1298] "Error syncing pod, skipping" err="failed to '
    '\\"CreatePodSandbox\\" for \\"web-{id}_shop({uid})\\" with CreatePodSandboxError: \\"Failed to create sandbox for '
    'pod: rpc error: code = Unknown desc = read init-p: connection reset by peer\\"" pod="shop/web-{id}" podUID="{uid}"'
)


def lines(forms: Callable[[random.Random, int], str]) -> Iterator[bytes]:
    """Without end. Numbers and names differ from line to line."""
    chance = random.Random(1)
    for number in range(sys.maxsize):
        seconds = number // 100
        time = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        uid = f"{chance.getrandbits(32):08x}-5456-11e9-8874-{chance.getrandbits(48):012x}"
        text = forms(chance, number).format(
            time=time,
            micros=number % 10**6,
            uptime=number / 100,
            pid=number // 7 % 30_000 + 1,
            id=f"{chance.getrandbits(32):08x}",
            uid=uid,
        )
        yield f"Nov 27 {time} worker-1 {text}\n".encode()


def pool(forms: Callable[[random.Random, int], str], size: int) -> bytes:
    parts: list[bytes] = []
    have = 0
    for line in lines(forms):
        parts.append(line)
        have += len(line)
        if have >= size:
            return b"".join(parts)
    raise AssertionError


def write_quiet(path: Path, megabytes: int) -> None:
    """Begins with one report of the OOM killer and one sandbox that failed."""
    every = (*REPORT, FAILURE)
    quiet = pool(lambda chance, _: chance.choice(QUIET), POOL_BYTES)
    with path.open("wb") as file:
        file.writelines(islice(lines(lambda _, number: every[number]), len(every)))
        while file.tell() < megabytes * 10**6:
            file.write(quiet)


def write_worst(path: Path, megabytes: int) -> None:
    every = (*REPORT, FAILURE)
    path.write_bytes(pool(lambda _, number: every[number % len(every)], megabytes * 10**6))


def grep() -> list[str]:
    return ["grep", "-cE", "|".join(re.escape(needle.decode()) for needle in Sieve(Readers.NEEDLES).needles)]


def best(command: list[str], path: Path, times: int) -> Taken:
    return min((run(command, path) for _ in range(times)), key=lambda taken: taken.seconds)


def rate(small: Path, large: Path, taken: dict[Path, Taken]) -> float:
    """MB/s."""
    return (large.stat().st_size - small.stat().st_size) / 1e6 / (taken[large].seconds - taken[small].seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="MB/s and peak memory of reading a node's log")
    parser.add_argument("--times", type=int, default=3, help="runs of which the best counts")
    given = parser.parse_args()
    os.environ["LC_ALL"] = "C"
    with tempfile.TemporaryDirectory(prefix="memdoctor-bench-") as folder:
        small, large, worst = (Path(folder) / f"{name}.log" for name in ("small", "large", "worst"))
        write_quiet(small, SMALL_MB)
        write_quiet(large, LARGE_MB)
        write_worst(worst, WORST_MB)
        ours = {path: best(READ, path, given.times) for path in (small, large, worst)}
        greps = {path: best(grep(), path, given.times) for path in (small, large)}
        our_rate, grep_rate = rate(small, large, ours), rate(small, large, greps)
        start = ours[small].seconds - small.stat().st_size / 1e6 / our_rate
        worst_rate = worst.stat().st_size / 1e6 / (ours[worst].seconds - start)
    growth = f"{ours[large].peak_mb - ours[small].peak_mb:.0f} MB"
    rows = (
        ("`grep -cE` with the same needles (LC_ALL=C)", f"{grep_rate:.0f}", "1", ""),
        ("lines of no interest", f"{our_rate:.0f}", f"{grep_rate / our_rate:.1f}", growth),
        ("every line of interest (OOM reports and failing sandboxes only)", f"{worst_rate:.1f}", "", ""),
    )
    headers = ("", "MB/s", "x grep's time", f"more memory for {LARGE_MB} MB than for {SMALL_MB} MB")
    page.write_block("node logs", f"{page.taken_on()}\n\n{page.table(headers, rows)}")


if __name__ == "__main__":
    main()
