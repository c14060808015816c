"""What a node's own logs say of kills and containers, read by nothing of memdoctor's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_UID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KILL = re.compile(r"oom-kill:constraint=\w+,.*?(?P<limit>global_oom|oom_memcg=(?P<oom>\S*?)),task_memcg=(?P<rest>.*)")
_TASK = re.compile(r"(?P<cgroup>\S*?),task=(?P<name>.*),pid=(?P<pid>\d+),uid=\d+")
_POD = re.compile(rf"/kubepods(?:/burstable|/besteffort)?/pod(?P<uid>{_UID})(?P<container>/[0-9a-f]{{64}})?")
_SANDBOX = re.compile(rf'RunPodSandbox for .*?[Uu]id:\\?"?(?P<uid>{_UID}).* returns sandbox id \\?"(?P<id>\w+)')
_CONTAINER = re.compile(
    r'CreateContainer within sandbox \\?"(?P<sandbox>\w+)\\?" for .*?[Nn]ame:\\?"?(?P<name>[a-z0-9-]+)'
    r'.* returns container id \\?"(?P<id>\w+)'
)


@dataclass(frozen=True, slots=True)
class Kill:
    """One line `oom-kill:`, which the kernel writes before it kills, unless there are too many at once.

    https://github.com/torvalds/linux/blob/v5.10/mm/oom_kill.c (dump_oom_summary)
    """

    at: str
    """Whose limit: `container`, `pod`, `above` (of many pods) or `node`."""
    pod_uid: str
    """The victim's; "" where it is in no pod."""
    container_id: str
    """The victim's, or its sandbox's."""
    victim: str
    pid: int


def kills(log: str) -> list[Kill]:
    """Oldest first."""
    return list(_kills(log))


def _kills(log: str) -> Iterator[Kill]:
    for found in _KILL.finditer(log):
        task = _TASK.match(found["rest"])
        if task is None:
            raise ValueError(f"no task in {found[0]}")
        pod = _POD.search(task["cgroup"])
        uid, container = (pod["uid"], (pod["container"] or "").lstrip("/")) if pod else ("", "")
        yield Kill(_level(found), uid, container, task["name"], int(task["pid"]))


def _level(found: re.Match[str]) -> str:
    if found["limit"] == "global_oom":
        return "node"
    limited = _POD.search(found["oom"])
    if limited is None:
        return "above"
    return "container" if limited["container"] else "pod"


def is_incomplete(log: str) -> bool:
    """Whether the kernel says that it left something out."""
    return "callbacks suppressed" in log


@dataclass(frozen=True, slots=True)
class Container:
    """`name` is "" for a sandbox."""

    pod_uid: str
    name: str


def containers(log: str) -> dict[str, Container]:
    """By their ids: all that containerd has made, as it logs them."""
    found = {match["id"]: Container(match["uid"], "") for match in _SANDBOX.finditer(log)}
    for match in _CONTAINER.finditer(log):
        found[match["id"]] = Container(found[match["sandbox"]].pod_uid, match["name"])
    return found
