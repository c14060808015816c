"""Say why memory keeps pods from starting, or kills them.

Pods are given by name, as TYPE/NAME of what they come from (deploy/web), or by label. The page of a pod says the cause
first, then what proves it, what was ruled out and what could not be looked at, and ends with the command to paste.
A pod without any finding gets a short page: its memory limit and where that comes from, and how it ended before.

The pod's node is asked as well, where this user may (get on nodes/proxy): its counters tell of processes that were
killed inside a container that runs on, and its logs, or those given with --node-log, prove which limit killed what.
--debug-pod has the kernel's own log read by a privileged pod on the node, which is removed at once; it asks first.

Exit code 0: nothing found at or above --fail-on; 1: something found; 2: could not look.

Examples:
  # Why does this pod not start?
  kubectl memdoctor pod web-5d9c7b9b8-x7k2p

  # All pods of a deployment, and of a label
  kubectl memdoctor pod deploy/web -n shop
  kubectl memdoctor pod -l app=web -n shop

  # With its node's kernel log, read by a pod that runs there for a moment
  kubectl memdoctor pod deploy/web -n shop --debug-pod

  # How much it really needs, by the last 7 days
  kubectl memdoctor pod deploy/web -n shop --prometheus auto

  # A pod in a recording that somebody sent, with its node's kernel log
  kubectl memdoctor pod web-5d9c7b9b8-x7k2p -f dump.json --node-log dmesg.txt
"""

from __future__ import annotations

from kubectl_memdoctor.debug_look import DEBUGGING, demand_debug_pod_flags, with_debug_pods
from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import (
    ALL,
    CONNECTION,
    FIELD_SELECTOR,
    LOOKING,
    NEAR_LIMIT,
    NODE_EVIDENCE,
    NODE_LOG,
    PROMETHEUS,
    PROMETHEUS_TOKEN_FILE,
    REPORTING,
    SELECTOR,
    Arguments,
    CommandLine,
    Named,
)
from kubectl_memdoctor.screen import Screen

USAGE = "pod (NAME... | TYPE/NAME... | -l SELECTOR) [options]"
USING = (NEAR_LIMIT, PROMETHEUS, PROMETHEUS_TOKEN_FILE)
FLAGS = (*CONNECTION, ALL, *LOOKING, NODE_EVIDENCE, NODE_LOG, *DEBUGGING, *USING, *REPORTING)
ARGUMENTS = Arguments(Named.POD, many=True, unless=(SELECTOR, FIELD_SELECTOR))


def run(line: CommandLine, screen: Screen) -> int:
    _refuse_mixtures(line)
    from kubectl_memdoctor.opening import (
        demand_usage_flags,
        measured_minimums,
        minimum_bytes,
        node_look,
        open_source,
        usage_look,
    )

    demand_usage_flags(line)
    demand_debug_pod_flags(line)
    minimum, measured = minimum_bytes(line), measured_minimums(line)
    found = open_source(line)
    from kubectl_memdoctor.diagnosis import diagnose_pods
    from kubectl_memdoctor.outcome import show
    from kubectl_memdoctor.selection import Selection

    selection = Selection(
        namespaces=None if line.flag(ALL) or found.namespace is None else (found.namespace,),
        names=line.words,
        label_selector=line.text(SELECTOR),
        field_selector=line.text(FIELD_SELECTOR),
    )
    look = with_debug_pods(node_look(line, found.source, by_default=True), line, screen, found)
    usage = usage_look(line, found.source)
    diagnosis = diagnose_pods(
        found.source, selection, minimum_bytes=minimum, measured=measured, nodes_look=look, usage_look=usage
    )
    return show(diagnosis, line, screen, output="page")


def _refuse_mixtures(line: CommandLine) -> None:
    """As kubectl get does."""
    by_selector = line.text(SELECTOR) or line.text(FIELD_SELECTOR)
    if line.words and by_selector:
        raise UsageError("name cannot be provided when a selector is specified")
    if not line.words and not by_selector:
        raise UsageError("you must name a pod, TYPE/NAME of what pods come from, or give -l")
