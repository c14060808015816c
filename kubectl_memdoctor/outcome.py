"""What a run ends with: the diagnosis on stdout, what must not be overlooked on stderr, and the exit code."""

from __future__ import annotations

import collections
import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import structs

from kubectl_memdoctor.exit_code import COULD_NOT_LOOK, FOUND, INTERRUPTED, NOT_THE_WHOLE, NOTHING_FOUND
from kubectl_memdoctor.finding import SEVERITIES, ClustersReport, Diagnosis, Finding, NotChecked, Report
from kubectl_memdoctor.flags import (
    ALL,
    CONNECTION,
    FAIL_ON,
    FILENAME,
    NAMESPACE,
    NO_HEADERS,
    NODE_EVIDENCE,
    OUTPUT,
    OUTPUT_FILE,
    PODS,
    PROGRAM,
    STRICT,
    CommandLine,
)
from kubectl_memdoctor.printers import Layout, printer, stream
from kubectl_memdoctor.printers.page import not_checked_sentences
from kubectl_memdoctor.remedies import addressed, cluster_flags
from kubectl_memdoctor.result_file import demand_writable, write_result
from kubectl_memdoctor.screen import Screen, discard

FOR_PROGRAMS = frozenset({"json", "jsonl", "yaml", "prometheus"})
"""Outputs that hold what was not checked themselves."""
NODE_PAGE = "node"
"""The page of the command of that name, which is no value of -o."""
STANDARD_INPUT = "-"
"""As a file name: it can be read only once."""
NODES_PROXY = "nodes/proxy"
"""How the names of all that is asked of nodes begin."""
SAME_CLUSTER = frozenset({"kubeconfig", "context", "cluster", "server"})
"""Flags that say which cluster is meant: a suggested command repeats them, so that pasted it reaches no other one.
Identities are left out: whoever may look need not be who may change."""


class Outcome:
    """One run on its way to the screen, by -o, else as `output`."""

    def __init__(self, line: CommandLine, screen: Screen, *, output: str) -> None:
        self._line = line
        self._screen = screen
        self._output = line.text(OUTPUT) or output
        self._flags = [] if line.values(FILENAME) else _cluster_flags(line)
        path = line.text(OUTPUT_FILE)
        self._file = Path(path) if path else None
        self._kept: list[str] = []
        if self._file is not None:
            demand_writable(self._file)
        self._layout = Layout(
            screen.width,
            screen.color and self._file is None,
            headers=not line.flag(NO_HEADERS),
            pods=line.flag(PODS),
            contexts=line.names_contexts(),
        )
        self._stream = stream(self._output, self._layout)
        self._told: dict[int, Finding] = {}

    @property
    def streams(self) -> bool:
        """Whether `found` has anything to print before the end."""
        return self._stream is not None

    def found(self, findings: Sequence[Finding], now: datetime) -> None:
        """Prints some of the report's findings while it is being made."""
        if self._stream is None or not findings:
            return
        self._told.update((id(finding), finding) for finding in findings)
        self._print(self._stream.found(addressed(findings, self._flags), now))

    def untold(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those that `found` was not given."""
        return [finding for finding in findings if id(finding) not in self._told]

    def end(self, diagnosis: Diagnosis) -> int:
        """Prints what is left to print. Returns the exit code, whether or not the reader stops early (`| head`)."""
        everything = diagnosis.report.findings
        rest = addressed(self.untold(everything), self._flags)
        report = msgspec.structs.replace(diagnosis.report, findings=addressed(everything, self._flags))
        diagnosis = structs.replace(diagnosis, report=report)
        if self._stream is not None:
            is_read = self._print(self._stream.end(diagnosis, rest))
        else:
            is_read = self._print(printer(self._output)(diagnosis, self._layout))
        if self._file is not None:
            write_result(self._file, "".join(f"{text}\n" for text in self._kept))
        if is_read:
            for text in _beside(diagnosis, self._line, self._output):
                self._screen.say(text)
        return _exit_code(diagnosis, self._line)

    def _print(self, lines: Iterable[str]) -> bool:
        """Whether anybody reads it."""
        lines = iter(lines) if self._file is None else self._keep(lines)
        try:
            for text in lines:
                print(text, file=self._screen.out)
            self._screen.out.flush()
        except BrokenPipeError:
            discard(self._screen.out)
            # The file gets all of it nevertheless.
            collections.deque(lines if self._file is not None else (), maxlen=0)
            return False
        return True

    def _keep(self, lines: Iterable[str]) -> Iterator[str]:
        for text in lines:
            self._kept.append(text)
            yield text


def show(diagnosis: Diagnosis, line: CommandLine, screen: Screen, *, output: str) -> int:
    """Prints a whole run by -o, else as `output`. Returns the exit code."""
    return Outcome(line, screen, output=output).end(diagnosis)


def _beside(diagnosis: Diagnosis, line: CommandLine, output: str) -> Iterator[str]:
    if output not in FOR_PROGRAMS and not _is_on_page(diagnosis, output):
        yield from (f"not checked: {text}" for text in not_checked_sentences(diagnosis.report.not_checked))
    if output not in FOR_PROGRAMS and not diagnosis.pods and not diagnosis.errors:
        yield _totals(diagnosis, line)
        if output != "page" and diagnosis.report.findings and not _is_shipped(diagnosis, line):
            yield f"For proof and fix: {_next_step(diagnosis, line)}"
    yield from diagnosis.errors
    if diagnosis.is_interrupted:
        yield NOT_THE_WHOLE


def _is_shipped(diagnosis: Diagnosis, line: CommandLine) -> bool:
    """The demo's recording: `pod` does not find it again."""
    report = diagnosis.report
    is_recorded = isinstance(report, Report) and report.cluster.recording is not None and diagnosis.logs is None
    return is_recorded and not line.values(FILENAME)


def _is_on_page(diagnosis: Diagnosis, output: str) -> bool:
    if output == NODE_PAGE:
        return bool(diagnosis.nodes)
    return output == "page" and bool(diagnosis.pods or diagnosis.nodes or diagnosis.logs or diagnosis.report.findings)


def _where(line: CommandLine) -> str:
    """Only what the command line says: the namespace of a kubeconfig context is not known here."""
    named = line.text(NAMESPACE)
    return f" in {named} namespace" if named and not line.flag(ALL) else ""


def _totals(diagnosis: Diagnosis, line: CommandLine) -> str:
    report = diagnosis.report
    summary = report.summary
    looked = f"{_count(summary.pods, 'pod')} on {_count(summary.nodes, 'node')}"
    if diagnosis.logs is not None:
        looked = _count(len(diagnosis.logs.files), "log")
    clusters = ""
    if isinstance(report, ClustersReport):
        clusters = f" in {_count(len(report.clusters), 'cluster')}"
        looked += clusters
    if not report.findings:
        is_empty = not (summary.pods or diagnosis.nodes or diagnosis.logs)
        return f"No pods found{_where(line)}{clusters}." if is_empty else f"Nothing found: looked at {looked}."
    counts = ", ".join(
        f"{summary.findings[severity]} {severity}" for severity in SEVERITIES if summary.findings[severity]
    )
    return f"{_count(len(report.findings), 'finding')} ({counts}) in {looked}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _next_step(diagnosis: Diagnosis, line: CommandLine) -> str:
    """Pods that only the logs of nodes tell of, no other command finds."""
    worst = next((found for found in diagnosis.report.findings if found.involved_object.kind == "Pod"), None)
    filenames = line.values(FILENAME)
    if worst is None or STANDARD_INPUT in filenames or diagnosis.nodes or diagnosis.logs:
        return "-o page"
    involved = worst.involved_object
    words = [involved.name, "-n", involved.namespace or "", *(word for name in filenames for word in ("-f", name))]
    return f"{PROGRAM} pod {shlex.join([*words, *cluster_flags(worst, _cluster_flags(line))])}"


def _cluster_flags(line: CommandLine) -> list[str]:
    return [f"--{flag.name}={line.text(flag)}" for flag in CONNECTION if flag.name in SAME_CLUSTER and line.text(flag)]


def _was_to_be_read(entry: NotChecked, line: CommandLine) -> bool:
    """What nodes say by themselves is taken where it is to be had, and demanded only by who asked for it."""
    return line.flag(NODE_EVIDENCE) or not entry.resource.startswith(NODES_PROXY)


def _exit_code(diagnosis: Diagnosis, line: CommandLine) -> int:
    if diagnosis.is_interrupted:
        return INTERRUPTED
    report = diagnosis.report
    if diagnosis.errors or (line.flag(STRICT) and any(_was_to_be_read(entry, line) for entry in report.not_checked)):
        return COULD_NOT_LOOK
    worst_allowed = line.text(FAIL_ON)
    failing = SEVERITIES[: [*map(str, SEVERITIES)].index(worst_allowed) + 1] if worst_allowed != "never" else ()
    return FOUND if any(finding.severity in failing for finding in report.findings) else NOTHING_FOUND
