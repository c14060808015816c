"""Run on the recording that comes with the program, without a cluster.

The recording holds healthy pods, a pod whose memory limit was typed with the wrong unit, one that is OOM-killed again
and again, and one that fails for a reason that is not memory. With the name of a pod, that pod's page is shown.

Examples:
  # The table
  kubectl memdoctor demo

  # The page of a pod in it
  kubectl memdoctor demo busybox-deploy-79798f5954-2qmls
"""

from __future__ import annotations

from kubectl_memdoctor.exit_code import NOTHING_FOUND
from kubectl_memdoctor.flags import COLOR, PROGRAM, Arguments, CommandLine, Flag, Named
from kubectl_memdoctor.screen import Screen

USAGE = "demo [NAME...]"
FLAGS: tuple[Flag, ...] = (COLOR,)
ARGUMENTS = Arguments(Named.DEMO_POD, many=True)


def run(line: CommandLine, screen: Screen) -> int:
    from importlib import resources

    from kubectl_memdoctor.cluster.recording import open_recording
    from kubectl_memdoctor.diagnosis import diagnose_namespaces, diagnose_pods
    from kubectl_memdoctor.outcome import show
    from kubectl_memdoctor.selection import Selection

    data = resources.files("kubectl_memdoctor.data").joinpath("demo.json")
    with resources.as_file(data) as path:
        recording = open_recording([str(path)], None)
        if line.words:
            show(diagnose_pods(recording, Selection(names=line.words)), line, screen, output="page")
            return NOTHING_FOUND
        diagnosis = diagnose_namespaces(recording, Selection())
        show(diagnosis, line, screen, output="table")
    worst = diagnosis.report.findings[0].involved_object.name
    for text in (
        "",
        "This was a recording that comes with the program. Next:",
        "  # What proves the first row, and its fix",
        f"  {PROGRAM} demo {worst}",
        "  # Your own cluster; what is looked for",
        f"  {PROGRAM} ns --all",
        f"  {PROGRAM} explain",
    ):
        print(text, file=screen.err)
    return NOTHING_FOUND
