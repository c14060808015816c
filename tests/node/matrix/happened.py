"""What really happened to a pod: read from its own objects and the node's kernel log, by nothing of memdoctor's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from cluster.api import Json

SIGKILL_EXIT = 137
START_FAILED = frozenset(
    {"StartError", "CreateContainerError", "RunContainerError", "ContainerCannotRun", "CreateContainerConfigError"}
)
"""Reasons of a container that did not come up."""

MEMORY_WORDS = re.compile(
    r"OOM-killed|OOM: |memory limit could be too low|memory limit too low|unable to set memory limit|"
    r"cannot allocate memory",
    re.IGNORECASE,
)
"""The runtimes' and the kernel's (ENOMEM) own words for memory."""


@dataclass(frozen=True, slots=True)
class KernelKill:
    """One line `oom-kill:` of the kernel log."""

    pod_uid: str
    victim: str


def kernel_kills(log: str) -> list[KernelKill]:
    """Every kill at or below a pod's cgroup, oldest first. The kernel leaves some out when there are many.

    https://github.com/torvalds/linux/blob/v6.1/mm/oom_kill.c (dump_oom_summary)
    """
    found = re.finditer(r"oom-kill:.*?task_memcg=\S*?/pod([0-9a-f_-]{36})\S*?,task=(.*?),pid=", log)
    return [KernelKill(match[1].replace("_", "-"), match[2]) for match in found]


class Stage(StrEnum):
    """How far a pod has got, as its status shows it now."""

    NOT_BEGUN = "not begun"
    VOLUME = "a volume has no room"
    SANDBOX = "its sandbox fails"
    CONTAINER = "a container cannot start"
    KILLED = "a container was killed"
    RUNNING = "runs"
    DONE = "ended"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a container that the status tells. `current`: it has not been started again."""

    container: str
    reason: str
    exit_code: int
    message: str
    current: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A pod, the events about it, and the kernel's kills in its cgroup."""

    pod: Json
    events: tuple[Json, ...]
    kills: tuple[KernelKill, ...] = ()

    def count(self, reason: str, words: str = "") -> int:
        """How often the kubelet said this; events that were aggregated or counted as often as they say."""
        return sum(_times(e) for e in self.events if e["reason"] == reason and words in (e.get("message") or ""))

    def messages(self, *reasons: str) -> Iterator[str]:
        return (event.get("message") or "" for event in self.events if event["reason"] in reasons)

    @property
    def statuses(self) -> list[Json]:
        status = self.pod.get("status", {})
        return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]

    @property
    def ends(self) -> list[End]:
        return [
            End(status["name"], ended.get("reason", ""), ended["exitCode"], ended.get("message", ""), field == "state")
            for status in self.statuses
            for field in ("state", "lastState")
            if (ended := status.get(field, {}).get("terminated"))
        ]

    @property
    def killed(self) -> list[End]:
        """Ends by SIGKILL, or with the mark of a kill for memory."""
        return [end for end in self.ends if end.exit_code == SIGKILL_EXIT or end.reason == "OOMKilled"]

    @property
    def restarts(self) -> int:
        return max((status.get("restartCount", 0) for status in self.statuses), default=0)

    def restarts_of(self, container: str) -> int:
        count: int = next(status.get("restartCount", 0) for status in self.statuses if status["name"] == container)
        return count

    def state_of(self, container: str) -> Json:
        state: Json = next(status.get("state", {}) for status in self.statuses if status["name"] == container)
        return state

    @property
    def sandbox_ready(self) -> bool:
        conditions = self.pod.get("status", {}).get("conditions", [])
        return any(c["type"] == "PodReadyToStartContainers" and c["status"] == "True" for c in conditions)

    @property
    def sandbox_failures(self) -> int:
        return self.count("FailedCreatePodSandBox")

    @property
    def volume_failures(self) -> int:
        return self.count("FailedMount", "no space left on device")

    @property
    def failed_starts(self) -> list[str]:
        """What was said of containers that did not come up: reasons with their messages."""
        waiting = (status.get("state", {}).get("waiting") or {} for status in self.statuses)
        said = [(entry.get("reason", ""), entry.get("message", "")) for entry in waiting]
        said += [(end.reason, end.message) for end in self.ends]
        return [f"{reason}: {message}" for reason, message in said if reason in START_FAILED]

    @property
    def running(self) -> bool:
        """All containers run, and are ready."""
        status = self.pod.get("status", {})
        regular = status.get("containerStatuses", [])
        return status.get("phase") == "Running" and bool(regular) and all(entry["ready"] for entry in regular)

    @property
    def stage(self) -> Stage:
        if self.running:
            return Stage.RUNNING
        if self.failed_starts:
            return Stage.CONTAINER
        if self.killed:
            return Stage.KILLED
        if self.sandbox_failures and not self.sandbox_ready:
            return Stage.SANDBOX
        if self.volume_failures and not self.sandbox_ready:
            return Stage.VOLUME
        return Stage.DONE if self.ends else Stage.NOT_BEGUN

    @property
    def memory_named(self) -> bool:
        """Whether any text about the pod has a runtime's or the kernel's own words for memory."""
        texts = [*self.messages("FailedCreatePodSandBox", "Failed"), *self.failed_starts]
        return any(MEMORY_WORDS.search(text) for text in texts)

    @property
    def signature(self) -> tuple[object, ...]:
        """Changes with whatever happens to the pod."""
        return (self.stage, self.restarts, self.sandbox_failures, self.volume_failures, len(self.ends))

    def words(self) -> str:
        """For a row of the page: the stage, the innermost words about it, whom the kernel killed."""
        parts = [_STAGE_WORDS[self.stage](self)]
        if self.kills:
            victims = dict.fromkeys(kill.victim for kill in self.kills)
            parts.append(f"kernel killed {', '.join(victims)}")
        return "; ".join(parts)


def _volume(_: Facts) -> str:
    return "token volume full, sandbox never tried"


def _sandbox(facts: Facts) -> str:
    return f"sandbox fails: {innermost(_newest(facts.messages('FailedCreatePodSandBox')))}"


def _container(facts: Facts) -> str:
    sandbox = " (its sandbox failed, too)" if facts.sandbox_failures else ""
    return f"container cannot start{sandbox}: {innermost(facts.failed_starts[0])}"


def _killed(facts: Facts) -> str:
    ends = dict.fromkeys(f"{end.container} {end.reason or 'no reason'}/{end.exit_code}" for end in facts.killed)
    restarts = f", {facts.restarts} restarts" if facts.restarts else ""
    return f"{', '.join(ends)}{restarts}"


def _running(facts: Facts) -> str:
    if facts.killed or facts.failed_starts:
        return f"{_killed(facts) if facts.killed else _container(facts)}; runs now"
    tries = facts.sandbox_failures
    return f"runs, after {tries} failed tr{'y' if tries == 1 else 'ies'}" if tries else "runs"


def _nothing(_: Facts) -> str:
    return "nothing yet"


def _done(facts: Facts) -> str:
    return ", ".join(f"{end.container} {end.reason}/{end.exit_code}" for end in facts.ends)


_STAGE_WORDS: dict[Stage, Callable[[Facts], str]] = {
    Stage.NOT_BEGUN: _nothing,
    Stage.VOLUME: _volume,
    Stage.SANDBOX: _sandbox,
    Stage.CONTAINER: _container,
    Stage.KILLED: _killed,
    Stage.RUNNING: _running,
    Stage.DONE: _done,
}


def _newest(messages: Iterator[str]) -> str:
    return list(messages)[-1]


_WRAPPERS = (
    "OCI runtime create failed: ",
    "runc create failed: unable to start container process: ",
    "unable to apply cgroup configuration: ",
    "error during container init: ",
    "procHooks process: ",
    "desc = ",
    'failed to start sandbox container task "...": ',
    'failed to start sandbox "...": ',
    "StartError: ",
)
MOST_WORDS = 110


def innermost(text: str) -> str:
    """The part that tells runtimes and causes apart, without ids and paths."""
    text = re.sub(r"\S*/[0-9a-z./_-]*(?:pod)?[0-9a-f]{8}[0-9a-f./_-]{20,}\S*", "...", text)
    text = re.sub(r"[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f-]{27}", "...", text).removesuffix(": unknown").strip()
    for wrapper in _WRAPPERS:
        text = text.rpartition(wrapper)[2]
    return text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]} ..."


def _times(event: Json) -> int:
    series = event.get("series") or {}
    return max(event.get("count") or 0, series.get("count") or 0, 1)
