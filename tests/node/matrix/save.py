"""Keeps a case's objects as a case of tests/cases, which `make test` replays everywhere."""

from __future__ import annotations

import copy
import json
import re
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from cluster.api import Json

from .case import Case
from .doctor import run_in_process
from .happened import Facts
from .look import Judged

CASES = Path(__file__).parents[2] / "cases"
NAMESPACE = "shop"
ORDER = ("Pod", "LimitRange", "RuntimeClass", "Node", "Event")


def recorded(facts: Facts, others: list[Json]) -> list[Json]:
    """The pod, what it got its limit from, its node and the events, in a namespace of a plain name."""
    listed = [cleaned(entry) for entry in (facts.pod, *others, *facts.events)]
    listed.sort(key=lambda entry: ORDER.index(entry["kind"]))
    text = json.dumps(listed).replace(facts.pod["metadata"]["namespace"], NAMESPACE)
    # The name server of the machine that the node runs on is nobody's business.
    plain: list[Json] = json.loads(re.sub(r"\b\d+\.\d+\.\d+\.\d+:53\b", "10.96.0.10:53", text))
    return plain


def cleaned(entry: Json) -> Json:
    """Without what kubectl leaves out as well, and without what tells one machine from another."""
    entry = copy.deepcopy(entry)
    entry["metadata"].pop("managedFields", None)
    if entry["kind"] == "Node":
        info = entry["status"]["nodeInfo"]
        info.update({name: _made_up(name) for name in ("bootID", "systemUUID")})
        info["machineID"] = _made_up("machineID").replace("-", "")
        info["kernelVersion"] = re.sub(r"-fc-\w+$", "", info["kernelVersion"])
    return entry


def _made_up(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"worker{name}"))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def text_of(listed: list[Json], provenance: str) -> str:
    content = {"apiVersion": "v1", "kind": "List", "items": listed, "metadata": {"resourceVersion": ""}}
    return f"# provenance: {provenance}\n" + yaml.dump(content, Dumper=_Dumper, width=110, allow_unicode=True)


def provenance(case: Case, listed: list[Json], runtime: str) -> str:
    """`runtime`: the OCI runtime with its version."""
    info = next(entry["status"]["nodeInfo"] for entry in listed if entry["kind"] == "Node")
    engine, _, version = info["containerRuntimeVersion"].partition("://")
    kernel = ".".join(info["kernelVersion"].split("-")[0].split(".")[:2])
    return (
        f"recorded on Kubernetes {info['kubeletVersion']}, {engine} {version.removeprefix('v')}, {runtime}, "
        f"cgroup {case.place.cgroup}, kernel {kernel}, {datetime.now(UTC):%Y-%m-%d}"
    )


def replayed(listed: list[Json]) -> list[Json]:
    """What memdoctor finds in these objects alone. Raises NoReport."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text_of(listed, "not kept"))
        file.flush()
        return run_in_process(["ns", "--all", "-f", file.name, "-o", "json"])


def file_stem(case: Case, *, fires: bool) -> str:
    place = case.place
    return f"{'fires' if fires else 'silent'}-{place.generation}-{place.cgroup}-{place.runtime}-{case.name}"


def save(judged: Judged, runtime: str, rule: str) -> None:
    """Writes the case under `rule`, whose finding it shows or might have shown; what an earlier run wrote goes."""
    text = text_of(judged.objects, provenance(judged.case, judged.objects, runtime))
    fires = any(finding["rule"] == rule for finding in judged.of_recording.findings)
    for stem in (file_stem(judged.case, fires=either) for either in (True, False)):
        for earlier in CASES.glob(f"*/{stem}.*"):
            earlier.unlink()
    file = CASES / rule / f"{file_stem(judged.case, fires=fires)}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
