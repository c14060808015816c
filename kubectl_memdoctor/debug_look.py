"""--debug-pod on the command line: who may give it, and how a diagnosis has nodes read by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import DEBUG_POD, FILENAME, IMAGE, YES, CommandLine
from kubectl_memdoctor.screen import Screen
from kubectl_memdoctor.temporary.consent import demand_consent

if TYPE_CHECKING:
    from kubectl_memdoctor.diagnosis import NodeLook
    from kubectl_memdoctor.evidence.node_evidence import NodeEvidence
    from kubectl_memdoctor.opening import Opened

DEBUG_IMAGE = IMAGE._replace(
    help="The image of the debug pod, which needs sh and chroot. By default busybox or the like that the node itself"
    " lists.",
)
DEBUGGING = (DEBUG_POD, DEBUG_IMAGE, YES)


def demand_debug_pod_flags(line: CommandLine) -> None:
    """Before anything is asked of the cluster. Raises UsageError, CouldNotLook where nobody can agree to it."""
    if not line.flag(DEBUG_POD):
        alone = next((flag for flag in (DEBUG_IMAGE, YES) if line.given.get(flag.field)), None)
        if alone:
            raise UsageError(f"--{alone.name} goes with --{DEBUG_POD.name}")
        return
    if line.values(FILENAME):
        raise UsageError(f"a recording has no node to make a pod on: give -f or --{DEBUG_POD.name}, not both")
    demand_consent(line, f"--{DEBUG_POD.name}")


def with_debug_pods(look: NodeLook, line: CommandLine, screen: Screen, found: Opened) -> NodeLook:
    """So that nodes are read by pods as well, where --debug-pod says so."""
    if not line.flag(DEBUG_POD):
        return look
    from msgspec import structs

    from kubectl_memdoctor.cluster.api import ApiServer
    from kubectl_memdoctor.debugging.question import read_by_debug_pods

    source, namespace = found.source, found.namespace
    assert isinstance(source, ApiServer)
    assert namespace is not None

    def by_pods(nodes: Sequence[str]) -> tuple[NodeEvidence, tuple[str, ...]]:
        reading = read_by_debug_pods(line, screen, source.connection, namespace, nodes)
        return reading.evidence, reading.reasons

    return structs.replace(look, by_pods=by_pods)
