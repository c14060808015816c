"""From the command line to a source: the recording that -f names, else the cluster that kubectl would talk to."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from kubectl_memdoctor.cluster.source import Source
from kubectl_memdoctor.exit_code import CouldNotLook, UsageError
from kubectl_memdoctor.flags import (
    CHUNK_SIZE,
    CONTEXTS,
    FILENAME,
    MAX_QPS,
    MINIMUM,
    MINIMUM_FROM,
    NAMESPACE,
    NEAR_LIMIT,
    NODE_EVIDENCE,
    NODE_LOG,
    PROMETHEUS,
    PROMETHEUS_TOKEN_FILE,
    CommandLine,
)
from kubectl_memdoctor.measured_minimum import MOST_BYTES, MeasuredMinimumError, Measurement, decode
from kubectl_memdoctor.quantity import QuantityError, value

if TYPE_CHECKING:
    from kubectl_memdoctor.cluster.prometheus_query import Prometheus
    from kubectl_memdoctor.diagnosis import NodeLook, UsageLook
    from kubectl_memdoctor.evidence.node_evidence import NodeEvidence

STANDARD_INPUT = "-"
"""As a file name: it can be read only once."""


class Opened(Struct, frozen=True):
    """`namespace` is the one that holds where none is named; None in a recording: all that it has."""

    source: Source
    namespace: str | None


def open_source(line: CommandLine) -> Opened:
    """Raises AccessError when neither can be had."""
    filenames = line.values(FILENAME)
    if filenames:
        from kubectl_memdoctor.cluster.recording import open_recording

        recording = open_recording(filenames, sys.stdin.buffer if sys.stdin else None)
        return Opened(recording, line.text(NAMESPACE) or None)
    # kubectl prints its configuration while the client is imported.
    from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start

    lookup = start(ConnectionFlags(**line.connection()))
    from kubectl_memdoctor.cluster.api import ApiServer
    from kubectl_memdoctor.cluster.connection import connect

    connection = connect(lookup)
    source = ApiServer(connection, chunk_size=line.number(CHUNK_SIZE), max_qps=line.number(MAX_QPS))
    return Opened(source, connection.namespace)


class KubeContexts:
    """The kubeconfig contexts that --contexts or --all-contexts mean, and the way to the cluster of each."""

    def __init__(self, line: CommandLine, *, by_namespace: bool) -> None:
        """`by_namespace`: the namespace of a context is what is looked at. Raises AccessError in kubectl's words."""
        from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start

        self._lookup = start(ConnectionFlags(**line.connection()))
        # Imported while kubectl prints its configuration, and before threads want it.
        from kubectl_memdoctor.cluster import api  # noqa: F401
        from kubectl_memdoctor.cluster.connection import configuration
        from kubectl_memdoctor.cluster.kube_contexts import Distinct, distinct, named

        self._config = configuration(self._lookup)
        self._line = line
        names = context_names(line)
        chosen = (
            Distinct(named(self._config, names), {}) if names else distinct(self._config, by_namespace=by_namespace)
        )
        self.names = chosen.names
        self.same = chosen.same
        """Contexts that are left out -> the one that stands for them."""

    def open(self, name: str) -> Opened:
        """Asks for the cluster's version, so that one that does not answer is known early. Raises AccessError."""
        from dataclasses import replace

        from kubectl_memdoctor.cluster.api import ApiServer
        from kubectl_memdoctor.cluster.connection import connection_of

        line, lookup = self._line, self._lookup
        connection = connection_of(lookup, self._config, structs.replace(lookup.flags, context=name))
        source = ApiServer(
            replace(connection, unattended=True), chunk_size=line.number(CHUNK_SIZE), max_qps=line.number(MAX_QPS)
        )
        source.origin()
        return Opened(source, connection.namespace)


def context_names(line: CommandLine) -> tuple[str, ...]:
    """Those of --contexts. Raises UsageError where one is empty."""
    names = tuple(name for text in line.values(CONTEXTS) for name in text.split(","))
    if "" in names:
        raise UsageError(f'invalid argument "{",".join(names)}" for "--{CONTEXTS.name}" flag: a name is empty')
    return names


QUICK_SECONDS = 1.0
"""What `pod` waits for nodes without being told to: it must not become slower than a person notices."""
THOROUGH_SECONDS = 40.0
"""For all nodes; the kubelet itself ends a log query after 30 s.
https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/kubelet_server_journal.go"""


TAKEN_LATER = timedelta(days=1)
"""How much newer than a recording the logs may be that come with it: it settles the year where a log names none."""


def node_look(line: CommandLine, source: Source, *, by_default: bool) -> NodeLook:
    """What the files of --node-log say, and whether nodes are asked: as --node-evidence says, else `by_default`."""
    from kubectl_memdoctor.diagnosis import NodeLook

    read, problems = _node_logs(line, source)
    asked = line.given.get(NODE_EVIDENCE.field)
    if asked is None:
        return NodeLook(read, problems, QUICK_SECONDS if by_default else None)
    return NodeLook(read, problems, THOROUGH_SECONDS if asked else None, thorough=bool(asked))


def _node_logs(line: CommandLine, source: Source) -> tuple[NodeEvidence, tuple[str, ...]]:
    paths = line.values(NODE_LOG)
    if paths.count(STANDARD_INPUT) and STANDARD_INPUT in line.values(FILENAME):
        raise UsageError(f"standard input cannot be both: -f - and --{NODE_LOG.name} -")
    from kubectl_memdoctor.evidence.node_evidence import NodeEvidence

    if not paths:
        return NodeEvidence(), ()
    from kubectl_memdoctor.node_logs.files import open_logs
    from kubectl_memdoctor.node_logs.reading import read_node_logs

    newest = source.now() + TAKEN_LATER
    logs = read_node_logs(open_logs(paths, sys.stdin.buffer if sys.stdin else None), now=newest)
    return logs.evidence, logs.problems


IN_CLUSTER = "auto"
"""As the value of --prometheus: look for one in the cluster."""


def demand_usage_flags(line: CommandLine) -> None:
    """Raises UsageError, before anything is asked for, where --near-limit or --prometheus cannot be meant."""
    near_limit(line)
    where, token_file = line.given.get(PROMETHEUS.field), line.text(PROMETHEUS_TOKEN_FILE)
    if where is not None and line.values(FILENAME):
        raise UsageError(f"a recording is of another time: give -f or --{PROMETHEUS.name}, not both")
    if token_file and where in (None, IN_CLUSTER):
        raise UsageError(f"--{PROMETHEUS_TOKEN_FILE.name} goes with a URL in --{PROMETHEUS.name}")


def usage_look(line: CommandLine, source: Source) -> UsageLook:
    """Raises UsageError."""
    from kubectl_memdoctor.diagnosis import UsageLook

    return UsageLook(near_limit(line), _prometheus(line, source))


def near_limit(line: CommandLine) -> float | None:
    """--near-limit as a share of 1. Raises UsageError."""
    if NEAR_LIMIT.field not in line.given:
        return None
    text = line.text(NEAR_LIMIT)
    if not re.fullmatch(r"([1-9][0-9]?|100)%", text):
        raise UsageError(f'invalid argument "{text}" for "--{NEAR_LIMIT.name}" flag: must be a percentage: 1% to 100%')
    return int(text.rstrip("%")) / 100


def _prometheus(line: CommandLine, source: Source) -> Prometheus | None:
    if PROMETHEUS.field not in line.given:
        return None
    where = line.text(PROMETHEUS)
    from kubectl_memdoctor.cluster.api import ApiServer
    from kubectl_memdoctor.cluster.prometheus import AddressError, ServiceSearch, at_url

    if where == IN_CLUSTER and isinstance(source, ApiServer):
        return ServiceSearch(source, source.transport)
    try:
        return at_url(where, line.text(PROMETHEUS_TOKEN_FILE))
    except AddressError as error:
        # The value is not repeated: it may hold a password.
        raise UsageError(f'invalid argument for "--{PROMETHEUS.name}" flag: {error}, or {IN_CLUSTER}') from None


def minimum_bytes(line: CommandLine) -> int | None:
    """--minimum in bytes. Raises UsageError."""
    text = line.text(MINIMUM)
    if not text:
        return None
    try:
        count = value(text)
    except QuantityError as error:
        raise UsageError(f'invalid argument "{text}" for "--{MINIMUM.name}" flag: {error}') from None
    if count <= 0:
        raise UsageError(f'invalid argument "{text}" for "--{MINIMUM.name}" flag: must be more than 0')
    return count


def measured_minimums(line: CommandLine) -> tuple[Measurement, ...] | None:
    """What the file of --minimum-from holds; None without it. Raises UsageError, CouldNotLook."""
    path = line.text(MINIMUM_FROM)
    if not path:
        return None
    if path == STANDARD_INPUT and STANDARD_INPUT in line.values(FILENAME):
        raise UsageError(f"standard input cannot be both: -f - and --{MINIMUM_FROM.name} -")
    try:
        return decode(*_read(path))
    except MeasuredMinimumError as error:
        raise CouldNotLook(f"error: {error}") from None
    except FileNotFoundError:
        raise CouldNotLook(f'error: the path "{path}" does not exist') from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CouldNotLook(f'error: the path "{path}" cannot be read: {reason}') from None


def _read(path: str) -> tuple[bytes, str]:
    """The text, up to one byte more than such a text may have, and its name."""
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read(MOST_BYTES + 1) if sys.stdin else b"", "standard input"
    with Path(path).open("rb") as file:
        return file.read(MOST_BYTES + 1), path
