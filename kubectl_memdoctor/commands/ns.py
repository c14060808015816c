"""Look at all pods of namespaces, or of the whole cluster.

Prints one row for each workload and finding, worst first: what is the matter, how bad it is (severity), how sure that
is (confidence), the memory limit as written, the smallest limit that the node's runtime starts a sandbox with, how many
pods it concerns, and since when. Without a NAME the current namespace is looked at; in a recording, all of them.

Exit code 0: nothing found at or above --fail-on; 1: something found; 2: could not look.

Examples:
  # The current namespace
  kubectl memdoctor ns

  # Two namespaces; the whole cluster
  kubectl memdoctor ns shop billing
  kubectl memdoctor ns --all

  # With node and fix; every finding in full; for programs
  kubectl memdoctor ns --all -o wide
  kubectl memdoctor ns shop -o page
  kubectl memdoctor ns --all -o json

  # With what the nodes' own counters and logs tell
  kubectl memdoctor ns --all --node-evidence

  # Containers close to their limit, and what they used in the last 7 days
  kubectl memdoctor ns shop --near-limit 90% --prometheus auto

  # Several clusters side by side; those of all kubeconfig contexts
  kubectl memdoctor ns --all --contexts=prod-eu,prod-us
  kubectl memdoctor ns --all --all-contexts

  # What somebody sent instead of a cluster
  kubectl get pods,events,nodes,replicasets,deployments,limitranges -A -o json > dump.json
  kubectl memdoctor ns --all -f dump.json
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import (
    ALL,
    ALL_CONTEXTS,
    CONNECTION,
    CONTEXTS,
    FIELD_SELECTOR,
    LOOKING,
    NAMESPACE,
    NEAR_LIMIT,
    NODE_EVIDENCE,
    NODE_LOG,
    PODS,
    PROMETHEUS,
    PROMETHEUS_TOKEN_FILE,
    REPORTING,
    SELECTOR,
    Arguments,
    CommandLine,
    Named,
)
from kubectl_memdoctor.screen import Progress, Screen

if TYPE_CHECKING:
    from kubectl_memdoctor.early_findings import Tell
    from kubectl_memdoctor.finding import Diagnosis, Finding
    from kubectl_memdoctor.measured_minimum import Measurement
    from kubectl_memdoctor.opening import Opened
    from kubectl_memdoctor.pod_pass import GoOn
    from kubectl_memdoctor.pod_pass import Progress as Passed

USAGE = "ns [NAME...] [--all] [options]"
FLAGS = (
    *CONNECTION,
    CONTEXTS,
    ALL_CONTEXTS,
    ALL,
    PODS,
    *LOOKING,
    NODE_EVIDENCE,
    NODE_LOG,
    NEAR_LIMIT,
    PROMETHEUS,
    PROMETHEUS_TOKEN_FILE,
    *REPORTING,
)
ARGUMENTS = Arguments(Named.NAMESPACE, many=True, unless=(ALL, NAMESPACE))


def run(line: CommandLine, screen: Screen) -> int:
    _refuse_mixtures(line)
    from kubectl_memdoctor.opening import demand_usage_flags, measured_minimums, minimum_bytes

    demand_usage_flags(line)
    look = _Look(line, minimum_bytes(line), measured_minimums(line))
    if line.names_contexts():
        from kubectl_memdoctor.many_clusters import refuse_mixtures, run_on_contexts

        refuse_mixtures(line)
        return run_on_contexts(line, screen, look.at)
    from kubectl_memdoctor.opening import open_source

    found = open_source(line)
    from kubectl_memdoctor.outcome import Outcome

    outcome, progress = Outcome(line, screen, output="table"), Progress(screen)

    def tell(findings: Sequence[Finding], now: datetime) -> None:
        progress.close()
        outcome.found(findings, now)

    try:
        diagnosis = look.at(found, progress, tell if outcome.streams else None)
    finally:
        progress.close()
    return outcome.end(diagnosis)


class _Look(NamedTuple):
    """What is looked at in a cluster, as the command line has it."""

    line: CommandLine
    minimum: int | None
    measured: tuple[Measurement, ...] | None

    def at(self, found: Opened, progress: Passed, tell: Tell | None, go_on: GoOn | None = None) -> Diagnosis:
        from kubectl_memdoctor.diagnosis import diagnose_namespaces
        from kubectl_memdoctor.opening import node_look, usage_look
        from kubectl_memdoctor.selection import Selection

        line = self.line
        selection = Selection(
            namespaces=_namespaces(line, found.namespace),
            label_selector=line.text(SELECTOR),
            field_selector=line.text(FIELD_SELECTOR),
        )
        return diagnose_namespaces(
            found.source,
            selection,
            minimum_bytes=self.minimum,
            measured=self.measured,
            nodes_look=node_look(line, found.source, by_default=False),
            usage_look=usage_look(line, found.source),
            progress=progress,
            tell=tell,
            go_on=go_on,
        )


def _namespaces(line: CommandLine, current: str | None) -> tuple[str, ...] | None:
    if line.flag(ALL):
        return None
    if line.words:
        return tuple(dict.fromkeys(line.words))
    return None if current is None else (current,)


def _refuse_mixtures(line: CommandLine) -> None:
    if line.words and line.flag(ALL):
        raise UsageError("give namespaces or --all, not both")
    if line.words and "namespace" in line.given:
        raise UsageError("give namespaces as arguments or with -n, not both")
