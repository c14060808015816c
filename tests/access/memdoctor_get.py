"""memdoctor's way to a pod, as its command line takes it: kubectl's flags -> connection -> one GET or list.

To be replaced by the whole command line (`kubectl_memdoctor.cli.main(["pod", ...])`) once that asks for nothing else
that would blur the comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.connection import connect
from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import PODS

_FIELDS = {"as": "as_user", "n": "namespace", "s": "server"}
_REPEATED = ("as_group", "as_user_extra")
_BOOLEAN = ("insecure_skip_tls_verify", "disable_compression")


def connection_flags(arguments: Iterable[str]) -> ConnectionFlags:
    """`--name=value` each, as given to kubectl."""
    values: dict[str, Any] = {}
    for argument in arguments:
        name, _, value = argument.lstrip("-").partition("=")
        field = _FIELDS.get(name, name.replace("-", "_"))
        if field in _REPEATED:
            values[field] = (*values.get(field, ()), value)
        else:
            values[field] = value == "true" if field in _BOOLEAN else value
    return ConnectionFlags(**values)


def get_pod(arguments: Iterable[str], name: str = "web") -> str:
    """Nothing when the pod was read, else the line for stderr."""
    try:
        connection = connect(start(connection_flags(arguments)))
        ApiServer(connection, sleep=lambda seconds: None).get(PODS, connection.namespace, name)
    except AccessError as error:
        return str(error)
    return ""


def list_pods(arguments: Iterable[str], label_selector: str = "", field_selector: str = "") -> str:
    try:
        connection = connect(start(connection_flags(arguments)))
        source = ApiServer(connection, sleep=lambda seconds: None)
        for _ in source.list(PODS, connection.namespace, label_selector=label_selector, field_selector=field_selector):
            pass
    except AccessError as error:
        return str(error)
    return ""
