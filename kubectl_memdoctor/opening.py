"""From the command line to a source: the recording that -f names, else the cluster that kubectl would talk to."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from kubectl_memdoctor.cluster.source import Source
from kubectl_memdoctor.exit_code import UsageError
from kubectl_memdoctor.flags import CHUNK_SIZE, FILENAME, MINIMUM, NAMESPACE, CommandLine
from kubectl_memdoctor.quantity import QuantityError, value


@dataclass(frozen=True, slots=True)
class Opened:
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
    return Opened(ApiServer(connection, chunk_size=line.number(CHUNK_SIZE)), connection.namespace)


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
