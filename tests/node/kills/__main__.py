"""Records cases with their node's logs: `PYTHONPATH=tests python -m node.enclosure python -m node.kills [KIND...]`.

Writes them under tests/cases; their goldens come from `make goldens`.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from node.matrix import save
from node.matrix.__main__ import runtime_words
from node.programs import generation

from .pods import GENERATION, Scenario
from .run import KINDS, Happened, happened
from .shortened import counters, shortened

RECORDED = {
    "own-limit",
    "pod-level-beside-own-limits",
    "child-killed-runs-on",
    "child-killed-in-nested-cgroup",
    "child-killed-with-all",
    "1mi",
    "killed-by-hand",
    "all-pods",
}


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in KINDS]
    if unknown:
        print(f"error: no kind of node {unknown[0]}, there are {', '.join(KINDS)}", file=sys.stderr)
        return 2
    for name in arguments or KINDS:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            seen = happened(KINDS[name], folder, stack)
            for scenario in seen.scenarios:
                if scenario.name in RECORDED and scenario.by_node is not None:
                    _record(seen, scenario, scenario.by_node.rule)
    return 0


def _record(seen: Happened, scenario: Scenario, rule: str) -> None:
    logs = shortened(seen, scenario.name)
    raw = {"dmesg.txt": logs.pop("dmesg.txt")}
    # The same kill in two logs is one.
    _write(seen, scenario, rule, "", logs if scenario.by_status else logs | raw)
    if not scenario.by_status and seen.kubelet_sees_its_cgroups:
        _write(seen, scenario, rule, "-by-counters", {"cadvisor.txt": counters(seen, scenario.name)})


def _write(seen: Happened, scenario: Scenario, rule: str, ending: str, logs: dict[str, str]) -> None:
    (node,) = seen.cluster.plane.api().items("v1", "Node")
    listed = save.recorded(seen.facts[scenario.name], [node])
    kernel = "-".join(re.findall(r"\d+", node["status"]["nodeInfo"]["kernelVersion"])[:2])
    file = save.CASES / rule / f"fires-kernel-{kernel}-{scenario.case.place.cgroup}-{scenario.name}{ending}.yaml"
    provenance = save.provenance(scenario.case, listed, runtime_words(generation(GENERATION), scenario.case))
    text = save.text_of(listed, f"{provenance}, with what its node's logs say of it")
    file.write_text(text)
    for log, content in logs.items():
        file.with_name(f"{file.stem}.node-log.{log}").write_text(content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
