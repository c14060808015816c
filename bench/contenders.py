"""Who runs: kubectl, bare loops, memdoctor, and other plugins that look for the same, where they are installed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.control_plane import ControlPlane

from bench.figures import (
    CONFIG,
    FLOOR_JSON,
    FLOOR_JSON_GZIP,
    FLOOR_PROTOBUF,
    FLOOR_PROTOBUF_GZIP,
    FLOOR_PROTOBUF_LARGE,
    HELP,
    IMPORTS,
    KUBECTL_JSON,
    KUBECTL_NAME,
    KUBECTL_POD,
    KUBECTL_TABLE,
    MEMDOCTOR,
    POD,
    PYTHON,
    THROUGH_KUBECTL,
    VERSION,
)
from bench.fleet import NEW_HASH, Found, place

ROOT = Path(__file__).parent.parent
LOOPS = {
    FLOOR_JSON: "json",
    FLOOR_JSON_GZIP: "json-gzip",
    FLOOR_PROTOBUF: "protobuf",
    FLOOR_PROTOBUF_GZIP: "protobuf-gzip",
    FLOOR_PROTOBUF_LARGE: "protobuf-2000",
    "bare loop: protobuf, resourceVersion=0, one answer": "protobuf-cached",
    "bare loop: protobuf, a list per namespace, 8 connections": "protobuf-by-namespace",
    "bare loop: protobuf, a watch that begins with all": "protobuf-watch-list",
    "bare loop: tables made by the server, pages of 500": "protobuf-table",
}
"""Label -> loop of bench/floors.py."""

Finds = Callable[[bytes, frozenset[Found]], frozenset[Found]]
"""What was printed, and what is seeded -> what was found."""


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    command: tuple[str, ...]
    finds: Finds | None = None
    codes: tuple[int, ...] = (0,)
    """Exit codes of a run that did its work."""
    keeps_time: bool = False
    """It prints the seconds of its work, without the start of its program."""
    kb_per_pod: float = 0
    """What it takes of memory at its peak, where that can be more than a machine has."""


OF_POD = tuple(
    f"kubectl_memdoctor.{name}"
    for name in ("cli", "commands.pod", "opening", "cluster.api", "cluster.connection", "diagnosis", "printers")
)
"""The modules that `pod` imports one after the other; they import the rest."""
PROGRAM = ("kubectl", "memdoctor", "ns", "--all")


def lists(plane: ControlPlane, environ: Mapping[str, str]) -> Iterator[Contender]:
    """Those that look at all pods."""
    for name, loop in LOOPS.items():
        yield bare_loop(plane, name, loop)
    yield memdoctor(MEMDOCTOR)
    get = ("kubectl", "get", "pods", "-A")
    yield Contender(KUBECTL_NAME, (*get, "-o", "name"), kb_per_pod=150)
    yield Contender(KUBECTL_TABLE, get, kb_per_pod=50)
    yield Contender(KUBECTL_JSON, (*get, "-o", "json"), kb_per_pod=150)
    yield from _other_plugins(environ["PATH"])


def memdoctor(name: str) -> Contender:
    return Contender(name, (*PROGRAM, "-o", "json"), _reported, codes=(0, 1))


def bare_loop(plane: ControlPlane, name: str, loop: str) -> Contender:
    path = f"PYTHONPATH={ROOT}:{ROOT / 'tests'}"
    command = ("env", path, sys.executable, "-m", "bench.floors", loop, plane.server, str(plane.authority_file))
    return Contender(name, command, keeps_time=True)


def short(plugin: Path) -> Iterator[Contender]:
    """Those that look at one pod, or at none, and the parts of the way to it. The pod is one with a finding."""
    first = place(0)
    named = (first.pod_name(NEW_HASH), "-n", first.namespace)
    yield Contender(POD, ("kubectl", "memdoctor", "pod", *named), codes=(0, 1))
    yield Contender(KUBECTL_POD, ("kubectl", "get", "pod", *named, "-o", "json"))
    yield Contender(CONFIG, ("kubectl", "config", "view", "--raw", "-o", "json"))
    yield Contender(THROUGH_KUBECTL, ("kubectl", "memdoctor", "version"))
    yield Contender(IMPORTS, (sys.executable, "-c", f"import {', '.join(OF_POD)}"))
    yield Contender(HELP, (str(plugin), "--help"))
    yield Contender(VERSION, (str(plugin), "version"))
    yield Contender(PYTHON, (sys.executable, "-c", "pass"))


def _other_plugins(path: str) -> Iterator[Contender]:
    """https://github.com/jdockerty/kubectl-oomd and https://github.com/derailed/popeye"""
    if shutil.which("kubectl-oomd", path=path):
        yield Contender("`kubectl oomd -A`", ("kubectl", "oomd", "-A"), _named)
    if shutil.which("popeye", path=path):
        yield Contender("`popeye -A -s pods -o json`", ("popeye", "-A", "-s", "pods", "-o", "json"), _named, (0, 1))


def _reported(printed: bytes, seeded: frozenset[Found]) -> frozenset[Found]:
    involved = ((entry["rule"], entry["involvedObject"]) for entry in json.loads(printed)["findings"])
    return frozenset(Found(rule, about.get("namespace", ""), about["name"]) for rule, about in involved)


def _named(printed: bytes, seeded: frozenset[Found]) -> frozenset[Found]:
    """Other programs have other words: a finding counts where its pod is named."""
    words = set(re.findall(rb"[a-z0-9-]+", printed))
    return frozenset(found for found in seeded if found.name.encode() in words)
