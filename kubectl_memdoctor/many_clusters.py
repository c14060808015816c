"""`ns` on the clusters of several kubeconfig contexts: what may not be given with that, and who prints what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from kubectl_memdoctor.clusters_report import Look, merged
from kubectl_memdoctor.early_findings import Tell
from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.finding import Diagnosis, Finding
from kubectl_memdoctor.flags import (
    ALL,
    ALL_CONTEXTS,
    CONNECTION,
    CONTEXTS,
    FILENAME,
    NAMESPACE,
    NODE_LOG,
    PROMETHEUS,
    CommandLine,
)
from kubectl_memdoctor.opening import IN_CLUSTER, KubeContexts, Opened
from kubectl_memdoctor.outcome import Outcome
from kubectl_memdoctor.pod_pass import GoOn
from kubectl_memdoctor.pod_pass import Progress as Passed
from kubectl_memdoctor.screen import Progress, Screen
from kubectl_memdoctor.side_by_side import Hooks, SideBySide, State

OF_EACH_CLUSTER = frozenset(
    {"as", "as-group", "as-uid", "as-user-extra", "disable-compression", "kubeconfig", "namespace", "request-timeout"}
)
"""Flags about the connection that mean something for every cluster. The others are of one: a token of one cluster must
not be sent to another."""
MOST_NAMES = 3

Diagnose = Callable[[Opened, Passed, Tell | None, GoOn], Diagnosis]


def refuse_mixtures(line: CommandLine) -> None:
    """Raises UsageError for flags that are about a single cluster."""
    if CONTEXTS.field in line.given and line.flag(ALL_CONTEXTS):
        raise UsageError(f"give --{CONTEXTS.name} or --{ALL_CONTEXTS.name}, not both")
    several = CONTEXTS if CONTEXTS.field in line.given else ALL_CONTEXTS
    of_one = [flag for flag in (*CONNECTION, FILENAME, NODE_LOG) if flag.name not in OF_EACH_CLUSTER]
    refused = next((flag for flag in of_one if flag.field in line.given), None)
    if refused is not None:
        raise UsageError(f"--{refused.name} is of one cluster: give it without --{several.name}")
    if line.text(PROMETHEUS) not in ("", IN_CLUSTER):
        raise UsageError(
            f"the URL of a Prometheus is of one cluster: with --{several.name} give --{PROMETHEUS.name} auto"
        )


def run_on_contexts(line: CommandLine, screen: Screen, diagnose: Diagnose) -> int:
    """Looks at all clusters and prints what was found; returns the exit code. Raises CouldNotLook where none could be
    looked at."""
    by_namespace = not (line.words or line.flag(ALL) or NAMESPACE.field in line.given)
    contexts = KubeContexts(line, by_namespace=by_namespace)
    for name, kept in contexts.same.items():
        screen.say(f"context {name}: not asked, since it is the same server and user as {kept}")
    outcome = Outcome(line, screen, output="table")
    watcher = _Printing(outcome, Progress(screen))

    def look(opened: Opened, hooks: Hooks) -> Diagnosis:
        return diagnose(opened, hooks.progress, hooks.tell if outcome.streams else None, hooks.go_on)

    try:
        found = SideBySide(contexts.names, contexts.open, look).run(watcher)
    finally:
        watcher.close()
    return outcome.end(merged(found.looks, is_interrupted=found.is_interrupted))


class _Printing:
    """Shows what there is to show while clusters are looked at."""

    def __init__(self, outcome: Outcome, progress: Progress) -> None:
        self._outcome = outcome
        self._progress = progress

    def found(self, findings: Sequence[Finding], now: datetime) -> None:
        self._progress.close()
        self._outcome.found(findings, now)

    def ended(self, look: Look) -> None:
        if look.diagnosis is not None and self._outcome.streams:
            self.found(self._outcome.untold(look.findings), look.diagnosis.report.taken_at)

    def waits(self, state: State) -> None:
        names = ", ".join(state.under_way[:MOST_NAMES])
        more = f" and {len(state.under_way) - MOST_NAMES} more" if len(state.under_way) > MOST_NAMES else ""
        self._progress.show(
            f"{state.done} of {state.contexts} clusters done, {state.pods:,} pods; waiting for {names}{more} ..."
        )

    def close(self) -> None:
        self._progress.close()
