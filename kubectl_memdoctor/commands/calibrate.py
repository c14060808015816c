"""Measure on your own nodes how small a pod's memory limit may be.

Runs tiny pause pods with falling memory limits on a node, a few at a time, and finds the smallest limit with which they
become ready every time, not just at times. Without --node, one node of each kind is measured: the same runtime, kernel,
architecture and number of CPUs. The pods satisfy the pod security standard "restricted" and mount nothing.

It writes to the cluster, as otherwise only --debug-pod does. It says what it will make and asks first, makes at most
30 pods a node, in a namespace of its own (or in that of -n), and removes all of it at the end, also when it is
interrupted. When it is killed, its pods end by themselves within five minutes; what is left is removed by the next run,
or by --clean, which removes debug pods as well.

Keep the result with --save, for everybody who uses the cluster, or in a file for --minimum-from. It holds for nodes of
the same kind, and findings then say that it was measured on your nodes.

Exit code 0: measured; 2: could not, or not everything that was made could be removed.

Examples:
  # One node of each kind
  kubectl memdoctor calibrate

  # See what would be made; all of it as manifests
  kubectl memdoctor calibrate --dry-run
  kubectl memdoctor calibrate --dry-run=client -o yaml

  # One node, the handler of a RuntimeClass, not asked, kept in the cluster
  kubectl memdoctor calibrate --node=worker-1 --runtime-class=crun --yes --save

  # Into a file, and findings that use it
  kubectl memdoctor calibrate --output-file=minimum.yaml
  kubectl memdoctor ns --all --minimum-from=minimum.yaml

  # Remove what a run that was killed has left
  kubectl memdoctor calibrate --clean
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_memdoctor.exit_code import COULD_NOT_LOOK, NOTHING_FOUND, CouldNotLook, UsageError
from kubectl_memdoctor.flags import (
    CALIBRATING,
    CLEAN,
    CONNECTION,
    DRY_RUN,
    IMAGE,
    NAMESPACE,
    NODE,
    OUTPUT,
    OUTPUT_FILE,
    PROGRAM,
    RUNTIME_CLASS,
    SAVE,
    CommandLine,
    Flag,
)
from kubectl_memdoctor.screen import Screen, discard
from kubectl_memdoctor.temporary.consent import agreed, demand_consent, print_lines

if TYPE_CHECKING:
    from kubectl_memdoctor.calibration.manifests import Run
    from kubectl_memdoctor.calibration.nodes import Runtime, Target
    from kubectl_memdoctor.calibration.run import NodeRun
    from kubectl_memdoctor.cluster.api import ApiServer
    from kubectl_memdoctor.cluster.writing import ApiWriter
    from kubectl_memdoctor.measured_minimum import Measurement
    from kubectl_memdoctor.temporary.removal import Leftover, Remains

USAGE = "calibrate [--node=NAME...] [options]"
OUTPUTS = ("json", "yaml")
FORM = Flag("output", f"Output format. One of: ({', '.join(OUTPUTS)}).", short="o", choices=OUTPUTS)
FLAGS = (*CONNECTION, *CALIBRATING, OUTPUT_FILE, FORM)
REQUEST_SECONDS = 30.0
"""For a request where --request-timeout does not say it: a server that hangs must not hold up the removal."""


def run(line: CommandLine, screen: Screen) -> int:
    _refuse_mixtures(line)
    dry_run = line.text(DRY_RUN)
    if dry_run == "none":
        demand_consent(line, "calibrate", ", or --dry-run to see what it would make")
    if line.text(OUTPUT_FILE):
        from kubectl_memdoctor.result_file import demand_writable

        demand_writable(Path(line.text(OUTPUT_FILE)))
    source, writer = _opened(line)
    if line.flag(CLEAN):
        return _clean(line, screen, source, writer)
    return _Command(line, screen, source, writer).run()


def _refuse_mixtures(line: CommandLine) -> None:
    if line.words:
        raise UsageError(f'calibrate takes no arguments, not "{line.words[0]}": nodes are given with --node')
    output = line.text(OUTPUT)
    if output and output not in OUTPUTS:
        raise UsageError(
            f'unable to match a printer suitable for the output format "{output}", allowed formats are: json,yaml'
        )
    if line.text(DRY_RUN) == "server" and not line.text(NAMESPACE):
        raise UsageError("--dry-run=server needs -n: the server admits no pods to a namespace that is yet to be made")
    alone = [flag for flag in (NODE, RUNTIME_CLASS, IMAGE, SAVE, OUTPUT_FILE) if line.given.get(flag.field)]
    if line.flag(CLEAN) and alone:
        raise UsageError(f"--clean measures nothing: leave out --{alone[0].name}")


def _opened(line: CommandLine) -> tuple[ApiServer, ApiWriter]:
    """Raises AccessError."""
    import dataclasses

    from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start

    lookup = start(ConnectionFlags(**line.connection()))
    from kubectl_memdoctor.cluster.api import ApiServer
    from kubectl_memdoctor.cluster.connection import connect
    from kubectl_memdoctor.cluster.writing import ApiWriter

    connection = connect(lookup)
    seconds = connection.request_timeout or REQUEST_SECONDS
    connection = dataclasses.replace(connection, request_timeout=seconds, purpose="calibrate")
    return ApiServer(connection), ApiWriter(connection)


def _clean(line: CommandLine, screen: Screen, source: ApiServer, writer: ApiWriter) -> int:
    from kubectl_memdoctor.calibration.removal import left_anywhere, left_in
    from kubectl_memdoctor.temporary.removal import remove_leftover

    namespace = line.text(NAMESPACE)
    left = left_in(source, namespace) if namespace else left_anywhere(source, screen.say)
    left += _left_debug_pods(source, namespace, screen)
    if not left:
        screen.say("Nothing is left of earlier runs.")
        return NOTHING_FOUND
    dry_run = line.text(DRY_RUN) != "none"
    screen.say("Left of earlier runs, to be removed:" if not dry_run else "Left of earlier runs (dry run):")
    for entry in left:
        running = "" if entry.is_abandoned(source.now()) else ": that run may still be under way"
        screen.say(f"  {entry.names()}{running}")
    if dry_run or not agreed(line, screen):
        return NOTHING_FOUND
    for entry in left:
        remove_leftover(entry, writer)
        print(f"{entry.names()} deleted", file=screen.out)
    return NOTHING_FOUND


def _left_debug_pods(source: ApiServer, namespace: str, screen: Screen) -> list[Leftover]:
    """What --debug-pod of other commands left."""
    from kubectl_memdoctor.cluster.source import Unreadable
    from kubectl_memdoctor.debugging.leftovers import left_debug_pods

    try:
        return left_debug_pods(source, namespace or None)
    except Unreadable as error:
        screen.say(f"not looked for debug pods: {error.reason}")
        return []


class _Command:
    """One `calibrate`, from the choice of nodes to what is printed at the end."""

    def __init__(self, line: CommandLine, screen: Screen, source: ApiServer, writer: ApiWriter) -> None:
        self._line = line
        self._screen = screen
        self._source = source
        self._writer = writer

    def run(self) -> int:
        from kubectl_memdoctor.calibration.manifests import new_run
        from kubectl_memdoctor.temporary.process import this_process

        targets, refusals = self._choice()
        namespace = self._namespace()
        run = new_run(namespace, this_process())
        if self._line.text(DRY_RUN) != "none":
            self._dry_run(run, targets)
            return self._complain(refusals)
        if self._line.flag(SAVE):
            from kubectl_memdoctor.calibration.saving import Saved

            Saved(self._source, self._writer).read()
        left = self._left(namespace)
        self._say_plan(run, targets, left)
        if not agreed(self._line, self._screen):
            self._screen.say("Nothing was made.")
            return COULD_NOT_LOOK
        return self._measure(run, targets, left, refusals)

    def _choice(self) -> tuple[tuple[Target, ...], tuple[str, ...]]:
        """Raises AccessError when there is no node to measure."""
        from kubectl_memdoctor.calibration.nodes import choose
        from kubectl_memdoctor.temporary.places import PLACES

        places = [place for page in self._source.list(PLACES) for place in page.items]
        line = self._line
        choice = choose(places, line.values(NODE), self._runtime(), line.text(IMAGE))
        if not choice.targets:
            raise CouldNotLook("\n".join(choice.refusals))
        return choice.targets, choice.refusals

    def _runtime(self) -> Runtime:
        from kubectl_memdoctor.calibration.nodes import RUNTIMES, Runtime

        name = self._line.text(RUNTIME_CLASS)
        return self._source.get(RUNTIMES, None, name) if name else Runtime()

    def _namespace(self) -> str | None:
        """The one that is given, if it exists. Raises AccessError."""
        from kubectl_memdoctor.objects import NAMESPACES

        name = self._line.text(NAMESPACE)
        if name:
            self._source.get(NAMESPACES, None, name)
        return name or None

    def _left(self, namespace: str | None) -> list[Leftover]:
        """Of earlier runs. Without the right to look, nothing: this run needs others."""
        from kubectl_memdoctor.calibration.removal import left_in, left_namespaces
        from kubectl_memdoctor.cluster.source import Unreadable

        try:
            return left_in(self._source, namespace) if namespace else left_namespaces(self._source)
        except Unreadable as error:
            self._screen.say(f"not looked for what earlier runs left: {error.reason}")
            return []

    def _say_plan(self, run: Run, targets: Sequence[Target], left: Iterable[Leftover]) -> None:
        from kubectl_memdoctor.calibration.page import plan

        server = self._source.connection.server
        print_lines(plan(run, targets, server, saves=self._line.flag(SAVE)), self._screen.err)
        for entry in left:
            if entry.is_abandoned(self._source.now()):
                self._screen.say(f"Removed first, left by an earlier run: {entry.names()}")
            else:
                self._screen.say(
                    f"Left alone, since its run may still be under way: {entry.names()} ({PROGRAM} calibrate --clean"
                    " removes it)"
                )

    def _dry_run(self, run: Run, targets: Sequence[Target]) -> None:
        from kubectl_memdoctor.calibration import manifests, page
        from kubectl_memdoctor.calibration.search import CONTROLS
        from kubectl_memdoctor.objects import CONFIG_MAPS, PODS

        place = manifests.namespace(run) if run.makes_namespace else manifests.owner(run)
        kinds = [(target, sandbox_only) for target in targets for sandbox_only in (False, True)]
        pods = [
            manifests.pod(run, target, CONTROLS[0], number, "", sandbox_only=sandbox_only)
            for number, (target, sandbox_only) in enumerate(kinds, 1)
        ]
        if self._line.text(DRY_RUN) == "server":
            self._writer.create(CONFIG_MAPS, place, dry_run=True)
            for pod in pods:
                self._writer.create(PODS, pod, dry_run=True)
        output = self._line.text(OUTPUT)
        if output:
            print(page.manifests([place, *pods], output), file=self._screen.out)
            return
        lines = page.plan(run, targets, self._source.connection.server, saves=self._line.flag(SAVE))
        print_lines(lines, self._screen.out)
        self._screen.say(f"Nothing was made ({self._line.text(DRY_RUN)} dry run).")

    def _measure(self, run: Run, targets: Sequence[Target], left: list[Leftover], refusals: tuple[str, ...]) -> int:
        from kubectl_memdoctor.calibration.run import Calibration
        from kubectl_memdoctor.calibration.session import Session
        from kubectl_memdoctor.temporary.clock import Clock
        from kubectl_memdoctor.temporary.progress import Progress

        clock, progress = Clock(), Progress(self._screen)
        calibration = Calibration(run, targets, self._source, self._writer, clock=clock, tell=progress)
        abandoned = [entry for entry in left if entry.is_abandoned(self._source.now())]
        ending = Session(self._source, self._writer, clock, progress).measure(calibration, abandoned)
        lines = [*refusals]
        if ending.error is not None:
            lines.append(str(ending.error))
        if ending.interrupted is None:
            measurements = tuple(calibration.measurements())
            self._print(measurements, calibration.nodes)
            self._say_what_is_open(calibration.nodes)
            lines += self._keep(measurements)
            lines += _obstacles(calibration.nodes)
        lines += _remaining(ending.remains, str(ending.error or ""))
        if ending.interrupted is not None:
            self._screen.say(
                f"interrupted: nothing was measured{'' if ending.remains else ', all that was made is removed'}"
            )
        elif ending.error is not None and ending.remains is None and calibration.has_made:
            lines.append("All that was made is removed.")
        code = self._complain(lines)
        return code if ending.interrupted is None else ending.interrupted

    def _print(self, measurements: Sequence[Measurement], nodes: Sequence[NodeRun]) -> None:
        from kubectl_memdoctor.calibration.page import measured, results

        if not measurements:
            return
        output = self._line.text(OUTPUT)
        try:
            if output:
                print(measured(measurements, output), file=self._screen.out)
            else:
                print_lines(results(measurements, nodes), self._screen.out)
            self._screen.out.flush()
        except BrokenPipeError:
            # The result is kept all the same.
            discard(self._screen.out)

    def _say_what_is_open(self, nodes: Iterable[NodeRun]) -> None:
        for node in nodes:
            if node.sandbox_remark:
                self._screen.say(
                    f"node {node.target.name}: the smallest limit for sandboxes alone was not found:"
                    f" {node.sandbox_remark}"
                )

    def _keep(self, measurements: Sequence[Measurement]) -> list[str]:
        """Lines for what could not be kept."""
        from kubectl_memdoctor.calibration.saving import SAVED_NAME, Saved
        from kubectl_memdoctor.measured_minimum import encode
        from kubectl_memdoctor.result_file import write_result

        line, errors = self._line, list[str]()
        if not measurements:
            return errors
        path = line.text(OUTPUT_FILE)
        try:
            if path:
                write_result(Path(path), encode(measurements))
                self._screen.say(f"Kept in {path}: use it with --minimum-from={path}.")
            if line.flag(SAVE):
                Saved(self._source, self._writer).add(measurements)
                self._screen.say(f"Kept in {SAVED_NAME}: later runs read it.")
        except CouldNotLook as error:
            errors.append(str(error))
        if not path and not line.flag(SAVE) and not line.text(OUTPUT):
            self._screen.say(_how_to_keep(measurements))
        return errors

    def _complain(self, lines: Iterable[str]) -> int:
        code = NOTHING_FOUND
        for text in lines:
            self._screen.say(text)
            code = COULD_NOT_LOOK
        return code


def _obstacles(nodes: Iterable[NodeRun]) -> list[str]:
    return [f"error: node {node.target.name} was not measured: {node.obstacle}" for node in nodes if node.obstacle]


def _remaining(remains: Remains | None, error: str) -> list[str]:
    if remains is None:
        return []
    reason = "" if remains.reason == error else f" ({remains.reason})"
    if remains.is_going:
        return [f"error: not gone yet: {remains.names} is deleted{reason}; something holds it, or the node is slow"]
    later = f"its pods end by themselves within 5 minutes, and the next {PROGRAM} calibrate removes it (or --clean)"
    return [f"error: not removed: {remains.names}{reason}; {later}"]


def _how_to_keep(measurements: Sequence[Measurement]) -> str:
    from kubectl_memdoctor.quantity import format_bytes

    largest = format_bytes(max(entry.ready_bytes for entry in measurements))
    return (
        "To have it used, measure with --save (for all who use this cluster) or --output-file=FILE (for"
        f" --minimum-from), or pass --minimum={largest}."
    )
