"""Which objects a filled cluster holds, all by number, so that what is seeded is known before it is looked for.

Every workload has ten pods and is in the middle of a roll-out: its first pod is of the newest revision, the others are
of the one before. Of a hundred workloads eight have a first pod that is not well.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

NAMESPACES = 200
PODS_PER_WORKLOAD = 10
PODS_PER_NODE = 50
PODS_PER_EVENT = 2
CYCLE = 100
HEALTHY, KILLED, EVICTED, FRACTIONAL = "healthy", "killed", "evicted", "fractional"
STUCK, NO_NETWORK, STARTING = "stuck", "no-network", "starting"
STATES = (KILLED, EVICTED, FRACTIONAL, STUCK, NO_NETWORK, STARTING, STARTING, STARTING)
"""Of the first pods of the first workloads of each hundred. So five pods in a thousand are Pending."""
RULES = {
    KILLED: "container-oom-killed",
    EVICTED: "pod-evicted-memory",
    FRACTIONAL: "memory-quantity-fractional",
    STUCK: "sandbox-memory-limit-too-small",
    NO_NETWORK: "sandbox-failure-not-memory",
}
"""State -> the rule that finds it. There is nothing to find about pods that just start."""
OLD_HASH, NEW_HASH = "5d8f9c7b6d", "7c9d6b8f5a"


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: what rule, about which object."""

    rule: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where one pod is, and what else is its own."""

    number: int
    workload: int
    namespace: str
    node: str

    @property
    def app(self) -> str:
        return f"web-{self.workload:08}"

    def pod_name(self, template_hash: str) -> str:
        return f"{self.app}-{template_hash}-{self.number:08}"

    @property
    def address(self) -> str:
        digits = f"{self.number % 1_000_000:06}"
        return f"10.1{digits[:2]}.1{digits[2:4]}.1{digits[4:]}"

    @property
    def digest(self) -> str:
        """As of a container: hexadecimal digits that no compression shortens."""
        return hashlib.sha256(b"%d" % self.number).hexdigest()

    def marks(self) -> tuple[bytes, ...]:
        """What differs in the bytes of objects there. Each is as long for every place: lengths are part of what etcd
        holds."""
        numbers = (f"{self.number:08}", f"{self.workload:08}")
        return tuple(text.encode() for text in (self.digest, self.address, self.namespace, self.node, *numbers))


def place(number: int) -> Place:
    """Of the pod with that number. Neighbouring workloads are in different namespaces, and so are those not well."""
    workload = number // PODS_PER_WORKLOAD
    namespace = namespace_name(workload + workload // CYCLE)
    return Place(number, workload, namespace, node_name(number // PODS_PER_NODE))


def namespace_name(number: int) -> str:
    return f"team-{number % NAMESPACES:03}"


def node_name(number: int) -> str:
    return f"worker-{number:05}"


def state(workload: int) -> str:
    """Of its first pod; its other pods are well."""
    position = workload % CYCLE
    return STATES[position] if position < len(STATES) else HEALTHY


def bad_workloads(pods: int) -> tuple[int, ...]:
    """Those with a finding, of so many pods."""
    return tuple(number for number in range(pods // PODS_PER_WORKLOAD) if state(number) in RULES)


def seeded(pods: int) -> frozenset[Found]:
    """All that is to be found among so many pods."""
    firsts = ((state(workload), place(workload * PODS_PER_WORKLOAD)) for workload in bad_workloads(pods))
    return frozenset(Found(RULES[of], first.namespace, first.pod_name(NEW_HASH)) for of, first in firsts)
