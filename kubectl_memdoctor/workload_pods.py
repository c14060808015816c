"""Which pods come from the same workload, told by their names alone.

Metrics of the past name pods that are long gone, and no list of a cluster has those. What Kubernetes' own controllers
append to a workload's name has a form of its own, though: the alphabet without vowels of
https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/util/rand/rand.go
"""

from __future__ import annotations

import re
from functools import cache

from msgspec import Struct

from kubectl_memdoctor.objects import OwnerReference, Pod
from kubectl_memdoctor.owners import is_built_in

TEMPLATE_HASH_LABEL = "pod-template-hash"
LONGEST_BASE = 58
"""Characters that stay of a name before five random ones.
https://github.com/kubernetes/apiserver/blob/v0.37.2/pkg/storage/names/generate.go"""

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_RANDOM = f"{_SAFE}{{5}}"
_TEMPLATE_HASH = f"{_SAFE}{{6,10}}"
"""A 32 bit number in decimal digits, each of them spelt in that alphabet; next to none has fewer than six."""
_CRON_JOB = re.compile(r"(.+-)[0-9]{8,10}", re.DOTALL)
"""A CronJob names its Jobs by the minute, formerly by the second, for which they are.
https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/cronjob/utils.go (getJobName)"""


class WorkloadPods(Struct, frozen=True):
    """The pods of one workload: names in `namespace` that begin with `prefix`, letter by letter, and go on as `rest`, a
    regular expression that Python and RE2 read alike."""

    namespace: str
    prefix: str
    rest: str = ""

    @property
    def pattern(self) -> str:
        """For the whole name."""
        return "".join(map(_escaped, self.prefix)) + self.rest

    def match(self, name: str) -> bool:
        return name.startswith(self.prefix) and _compiled(self.rest).fullmatch(name, len(self.prefix)) is not None


def workload_pods(pod: Pod) -> WorkloadPods:
    """Those beside which the pod stands, itself among them; of an unknown owner's or nobody's pod only itself."""
    metadata = pod.metadata
    controller = metadata.controller()
    if controller is not None and is_built_in(controller):
        found = _of_controller(pod, controller)
        if found.match(metadata.name):
            return found
    return WorkloadPods(metadata.namespace, metadata.name)


def _of_controller(pod: Pod, controller: OwnerReference) -> WorkloadPods:
    namespace, name = pod.metadata.namespace, controller.name
    if controller.kind == "StatefulSet":
        return WorkloadPods(namespace, f"{name}-", "[0-9]+")
    base = f"{name}-"[:LONGEST_BASE]
    if controller.kind == "Job":
        run = _CRON_JOB.fullmatch(name)
        if run is not None and len(name) < LONGEST_BASE:
            return WorkloadPods(namespace, run[1], f"[0-9]{{8,10}}-(?:[0-9]+-)?{_RANDOM}")
        return WorkloadPods(namespace, base, f"(?:[0-9]+-)?{_RANDOM}")
    template_hash = pod.metadata.labels.get(TEMPLATE_HASH_LABEL, "")
    if template_hash and name.endswith(f"-{template_hash}") and len(name) < LONGEST_BASE:
        # A Deployment's: those of its other ReplicaSets are the same program.
        return WorkloadPods(namespace, name.removesuffix(template_hash), f"{_TEMPLATE_HASH}-{_RANDOM}")
    return WorkloadPods(namespace, base, _RANDOM)


def _escaped(char: str) -> str:
    """RE2 takes a backslash before ASCII punctuation only."""
    return f"\\{char}" if char.isascii() and not char.isalnum() and char not in "-_" else char


@cache
def _compiled(rest: str) -> re.Pattern[str]:
    return re.compile(rest)
