"""Read logs of nodes: what was killed, at which limit, in which pod.

Each FILE is a log or a listing, or a folder of them: dmesg, journalctl, /var/log/messages, kern.log or syslog, logs of
the kubelet, containerd, CRI-O or docker, what `docker ps -a` or `crictl pods` print, dumps such as sosreport's; gzipped
or not. What each of them is, shows from what stands in it. No cluster is asked.

The kernel names a pod by its uid. The kubelet's log and listings give it its name, and so does a recording of the
cluster (-f), with which each pod that the logs tell of is diagnosed in full.

Exit code 0: nothing found at or above --fail-on; 1: something found; 2: could not look.

Examples:
  # What did the kernel kill?
  kubectl memdoctor logs dmesg.txt

  # Everything that was taken from a node
  kubectl memdoctor logs dmesg.txt kubelet.log docker-ps.txt
  kubectl memdoctor logs sosreport-worker-1/

  # With the names and limits of the pods
  kubectl get pods,events,nodes,replicasets,deployments,limitranges -A -o json > dump.json
  kubectl memdoctor logs dmesg.txt -f dump.json

  # From a node that is at hand
  ssh worker-1 sudo dmesg -T | kubectl memdoctor logs -
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubectl_memdoctor.exit_code import CouldNotLook, UsageError
from kubectl_memdoctor.flags import (
    FILENAME,
    MINIMUM,
    MINIMUM_FROM,
    PODS,
    REPORTING,
    Arguments,
    CommandLine,
    Named,
)
from kubectl_memdoctor.screen import Screen

if TYPE_CHECKING:
    from kubectl_memdoctor.finding import Note
    from kubectl_memdoctor.log_diagnosis import Logs
    from kubectl_memdoctor.node_logs.reading import FileRead

RECORDING = FILENAME._replace(
    help=FILENAME.help.replace("Read a recording instead of a cluster", "A recording of the cluster", 1)
)
USAGE = "logs FILE... [-f RECORDING] [options]"
FLAGS = (RECORDING, MINIMUM, MINIMUM_FROM, PODS, *REPORTING)
ARGUMENTS = Arguments(Named.FILE, many=True)


def run(line: CommandLine, screen: Screen) -> int:
    _refuse_mixtures(line)
    from kubectl_memdoctor.log_diagnosis import diagnose_logs, diagnose_logs_with
    from kubectl_memdoctor.opening import measured_minimums, minimum_bytes, open_source
    from kubectl_memdoctor.outcome import show

    minimum, measured = minimum_bytes(line), measured_minimums(line)
    source = open_source(line).source if line.values(FILENAME) else None
    taken_at = now()
    logs = _read(line.words, taken_at)
    if source is not None:
        diagnosis = diagnose_logs_with(logs, source, minimum_bytes=minimum, measured=measured)
    else:
        diagnosis = diagnose_logs(logs, now=taken_at, minimum_bytes=minimum, measured=measured)
    return show(diagnosis, line, screen, output="page")


def now() -> datetime:
    """Years that logs leave out are told from it."""
    return datetime.now(UTC)


def _read(paths: Sequence[str], taken_at: datetime) -> Logs:
    """Raises CouldNotLook where none of them can be read."""
    from kubectl_memdoctor.finding import Note
    from kubectl_memdoctor.log_diagnosis import Logs
    from kubectl_memdoctor.node_logs.files import open_logs
    from kubectl_memdoctor.node_logs.reading import read_node_logs

    found = read_node_logs(open_logs(paths, sys.stdin.buffer if sys.stdin else None), now=taken_at)
    if not found.files:
        problems = found.problems or ("no log of a node is among these files",)
        raise CouldNotLook("\n".join(f"error: {problem}" for problem in problems))
    files = [_told(file) for file in found.files]
    if found.passed_over:
        files.append(Note("passed over", f"{found.passed_over:,} files that are no logs of nodes"))
    return Logs(found.evidence, tuple(files), found.problems, tuple(paths))


def _told(file: FileRead) -> Note:
    """What it was, whose words it holds, of which node, and how much there was of it."""
    from kubectl_memdoctor.finding import Note

    writers = ", ".join(writer.value for writer in file.writers if writer)
    said_by = f" of {writers}" if writers else ""
    node = f" on {file.node}" if file.node else ""
    lines = "1 line" if file.lines == 1 else f"{file.lines:,} lines"
    return Note(
        file.name,
        f"{file.format}{said_by}{node}, {lines}",
        first=file.first,
        last=file.last,
        zone_known=file.zone_known,
    )


def _refuse_mixtures(line: CommandLine) -> None:
    if not line.words:
        raise UsageError("you must give a log, a folder of logs, or - for standard input")
    from kubectl_memdoctor.opening import STANDARD_INPUT

    if STANDARD_INPUT in line.words and STANDARD_INPUT in line.values(FILENAME):
        raise UsageError("standard input cannot be both: -f - and a log")
