"""Show everything about memory on a node.

The page begins with the worst that is the matter. Then come the node's conditions, what pods request and may use of its
memory, what is in use now, events and evictions, kills and failing sandboxes by pod, also of pods that are deleted
since, and what a sandbox needs there. The findings on the node and on all its pods stand below, with the fix of the
worst; -o page shows each of them in full.

The node is asked for its counters, its use and its logs, where this user may (get on nodes/proxy). Logs that somebody
took from the node are read with --node-log. --debug-pod has the kernel's own log and the runtime's sandboxes read by a
privileged pod on the node, in the namespace of -n, which is removed at once; it asks first.

Exit code 0: nothing found at or above --fail-on; 1: something found; 2: could not look.

Examples:
  # One node
  kubectl memdoctor node worker-1

  # With the kernel log that was taken from it; every finding in full
  kubectl memdoctor node worker-1 --node-log dmesg.txt
  kubectl memdoctor node worker-1 -o page

  # With its kernel log, read by a pod that runs there for a moment
  kubectl memdoctor node worker-1 --debug-pod -n kube-system

  # The nodes of a pool
  kubectl memdoctor node -l node.kubernetes.io/instance-type=m5.large

  # A node in a recording
  kubectl get pods,events,nodes -A -o json > dump.json
  kubectl memdoctor node worker-1 -f dump.json
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubectl_memdoctor.debug_look import DEBUGGING, demand_debug_pod_flags, with_debug_pods
from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import (
    CHUNK_SIZE,
    CONNECTION,
    FILENAME,
    MAX_QPS,
    MINIMUM,
    MINIMUM_FROM,
    NODE_EVIDENCE,
    NODE_LOG,
    PODS,
    REPORTING,
    SELECTOR,
    Arguments,
    CommandLine,
    Named,
)
from kubectl_memdoctor.screen import Progress, Screen

if TYPE_CHECKING:
    from kubectl_memdoctor.cluster.source import Source
    from kubectl_memdoctor.diagnosis import NodeLook

NODE_LABELS = SELECTOR._replace(help=SELECTOR.help.replace("Only pods", "The nodes", 1))
ASK_NODE = NODE_EVIDENCE._replace(
    help="Ask the node for counters, use and logs; that needs get on nodes/proxy. Where it is not given, the node has"
    " a few seconds to answer.",
    default="true",
)
USAGE = "node (NAME... | -l SELECTOR) [options]"
LOOKING = (NODE_LABELS, FILENAME, CHUNK_SIZE, MAX_QPS, MINIMUM, MINIMUM_FROM)
FLAGS = (*CONNECTION, *LOOKING, ASK_NODE, NODE_LOG, *DEBUGGING, PODS, *REPORTING)
ARGUMENTS = Arguments(Named.NODE, many=True, unless=(SELECTOR,))
FEW_SECONDS = 8.0
"""For all nodes that were asked for: long enough for the logs of one, short enough to be waited for."""
SPELLINGS = ("node", "nodes", "no")
"""kubectl's names of the resource."""


def run(line: CommandLine, screen: Screen) -> int:
    names = _names(line)
    demand_debug_pod_flags(line)
    from kubectl_memdoctor.opening import measured_minimums, minimum_bytes, node_look, open_source

    minimum, measured = minimum_bytes(line), measured_minimums(line)
    found = open_source(line)
    from kubectl_memdoctor.node_diagnosis import diagnose_nodes
    from kubectl_memdoctor.outcome import NODE_PAGE, show

    look = _few_seconds(node_look(line, found.source, by_default=True), line, found.source)
    look = with_debug_pods(look, line, screen, found)
    progress = Progress(screen, "nodes")
    try:
        diagnosis = diagnose_nodes(
            found.source,
            names,
            label_selector=line.text(SELECTOR),
            minimum_bytes=minimum,
            measured=measured,
            nodes_look=look,
            progress=progress,
        )
    finally:
        progress.close()
    return show(diagnosis, line, screen, output=NODE_PAGE)


def _few_seconds(look: NodeLook, line: CommandLine, source: Source) -> NodeLook:
    """Where --node-evidence does not say otherwise: a recording holds no node that could be asked."""
    if NODE_EVIDENCE.field in line.given:
        return look
    from msgspec import structs

    if source.kubelets is None:
        return structs.replace(look, deadline_seconds=None)
    return structs.replace(look, deadline_seconds=FEW_SECONDS, thorough=True)


def _names(line: CommandLine) -> tuple[str, ...]:
    """As kubectl takes them: `worker-1` or `node/worker-1`, each once."""
    if line.words and line.text(SELECTOR):
        raise UsageError("name cannot be provided when a selector is specified")
    if not line.words and not line.text(SELECTOR):
        raise UsageError("you must name a node, or give -l")
    return tuple(dict.fromkeys(map(_name, line.words)))


def _name(word: str) -> str:
    kind, slash, name = word.partition("/")
    if not slash:
        return word
    if kind.lower() not in SPELLINGS or not name or "/" in name:
        raise UsageError(f'"{word}" is no node: give NAME or node/NAME')
    return name
