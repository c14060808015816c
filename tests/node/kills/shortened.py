"""A node's logs without what is not about one pod, as a case keeps them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cluster.api import Json

from .run import Happened, ids_of

MOST_REPORTS = 2
MOST_LINES = 12
"""Of kubelet and containerd: the newest."""
_ENDS_A_REPORT = re.compile(r"Killed process|oom_reaper: |no killable processes|due to memory\.oom\.group")


def shortened(happened: Happened, name: str) -> dict[str, str]:
    """By the log's name; what says nothing of the pod is left out."""
    pod = happened.pod(name)
    words = {pod["metadata"]["uid"], pod["metadata"]["name"], *ids_of(pod)}
    found = {
        log: "".join(_newest_about(happened.logs[log].read_text(), words)) for log in ("kubelet.log", "containerd.log")
    }
    for log in ("kern.log", "dmesg.txt"):
        found[log] = "".join(_kernel(happened.logs[log].read_text(), pod))
    return {log: text for log, text in found.items() if text}


def counters(happened: Happened, name: str) -> str:
    """cAdvisor's lines about memory in the pod."""
    uid = happened.pod(name)["metadata"]["uid"]
    lines = happened.logs["cadvisor.txt"].read_text().splitlines(keepends=True)
    return "".join(line for line in lines if uid in line and re.match("container_(memory|oom|spec_memory)_", line))


def _newest_about(log: str, words: set[str]) -> list[str]:
    lines = [line for line in log.splitlines(keepends=True) if any(word in line for word in words)]
    return lines[-MOST_LINES:]


def _kernel(log: str, pod: Json) -> Iterator[str]:
    """Its first line and its last, which tell how far it reaches, and reports about the pod between."""
    # The machine's own name for its kernel.
    lines = re.sub(r"(\d+\.\d+\.\d+)-fc-\w+", r"\1", log).splitlines(keepends=True)
    about = [report for report in _reports(lines) if any(pod["metadata"]["uid"] in line for line in report)]
    yield lines[0]
    for report in about[-MOST_REPORTS:]:
        yield from report
    if not about or about[-1][-1] != lines[-1]:
        yield lines[-1]


def _reports(lines: list[str]) -> Iterator[list[str]]:
    starts = [number for number, line in enumerate(lines) if " invoked oom-killer: " in line]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = max((number for number in range(start, end) if _ENDS_A_REPORT.search(lines[number])), default=start)
        yield lines[start : last + 1]
