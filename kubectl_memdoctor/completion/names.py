"""Names that only a kubeconfig, a cluster or a file of the program knows."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from kubectl_memdoctor.completion.protocol import Offer, Word, plain
from kubectl_memdoctor.completion.words import Question
from kubectl_memdoctor.exit_code import CouldNotLook
from kubectl_memdoctor.flags import ALL, Named

if TYPE_CHECKING:
    from kubectl_memdoctor.objects import Resource

SECONDS = 1.0
"""What a person waits for at the TAB key; a credential plugin alone may take longer."""
SECONDS_VARIABLE = "MEMDOCTOR_COMPLETION_SECONDS"

Ask = Callable[[Question, float], Iterable[str]]
"""What is asked, and how many seconds the answer may take."""


def offer(question: Question, ask: Ask, seconds: float) -> Offer:
    """The names that fit, sorted. None where there is no answer within `seconds`, whatever the reason: part of a list
    would have the shell take the only one of it for the only one."""
    found: list[str] = []

    def look() -> None:
        try:
            found.extend(ask(question, seconds))
        except CouldNotLook:
            found.clear()

    asking = threading.Thread(target=look, daemon=True)
    asking.start()
    asking.join(seconds)
    names = [] if asking.is_alive() else found
    fitting = {name for name in plain(names) if name.startswith(question.start)} - set(question.taken)
    return Offer(tuple(map(Word, sorted(fitting))))


def patience(environ: Mapping[str, str]) -> float:
    """In seconds: SECONDS, if the environment does not say it otherwise."""
    try:
        return max(float(environ[SECONDS_VARIABLE]), 0.0)
    except (KeyError, ValueError):
        return SECONDS


def ask(question: Question, seconds: float) -> Iterable[str]:
    """Raises CouldNotLook."""
    if question.names is Named.RULE:
        return _rules()
    if question.names is Named.DEMO_POD:
        return _demo_pods()
    _silence()
    if question.names in (Named.CONTEXT, Named.CLUSTER, Named.USER):
        return _of_kubeconfig(question)
    return _of_cluster(question, seconds)


def _silence() -> None:
    """Neither kubectl nor a credential plugin may write into the line that is being typed, or read from it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _rules() -> Iterable[str]:
    """By the names of their files: to import them all takes as long as a person notices."""
    spec = importlib.util.find_spec("kubectl_memdoctor.rules")
    folders = spec.submodule_search_locations if spec else None
    return [entry.name.replace("_", "-") for entry in pkgutil.iter_modules(folders or [])]


def _demo_pods() -> Iterable[str]:
    import msgspec

    recording = resources.files("kubectl_memdoctor.data").joinpath("demo.json").read_bytes()
    return [item["metadata"]["name"] for item in msgspec.json.decode(recording)["items"] if item["kind"] == "Pod"]


def _of_kubeconfig(question: Question) -> Iterable[str]:
    from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start

    config = start(ConnectionFlags(**question.line.connection())).finish()
    if config is None:
        return ()
    return {Named.CONTEXT: config.contexts, Named.CLUSTER: config.clusters, Named.USER: config.users}[question.names]


def _of_cluster(question: Question, seconds: float) -> Iterable[str]:
    from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start

    lookup = start(ConnectionFlags(**question.line.connection()))
    from kubectl_memdoctor.cluster.api import ApiServer
    from kubectl_memdoctor.cluster.connection import connect

    connection = connect(lookup)
    resource, prefix = _asked_for(question)
    namespace = None if question.line.flag(ALL) else connection.namespace
    return [f"{prefix}{name}" for name in ApiServer(connection).names(resource, namespace, seconds)]


def _asked_for(question: Question) -> tuple[Resource[Any], str]:
    """What to list, and what stands before each name: `deploy/` where that is typed. Raises AccessError."""
    from kubectl_memdoctor.objects import NAMESPACES, NODES, RUNTIME_CLASSES
    from kubectl_memdoctor.selection import parse_target

    match question.names:
        case Named.NAMESPACE:
            return NAMESPACES, ""
        case Named.NODE:
            return NODES, ""
        case Named.RUNTIME_CLASS:
            return RUNTIME_CLASSES, ""
    kind, slash, _ = question.start.rpartition("/")
    return parse_target(f"{kind}{slash}NAME")[0], f"{kind}{slash}"
