"""README opens with what the program prints for the pod of its own demo, on a terminal of 100 columns."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.diagnosis import diagnose_pods
from kubectl_memdoctor.printers import Layout, page
from kubectl_memdoctor.selection import Selection

README = Path(__file__).parents[2] / "README.md"


def test_screen() -> None:
    block = re.search(r"```\n\$ kubectl memdoctor pod (\S+)\n(.*?)\n```", README.read_text(), re.DOTALL)
    assert block
    with resources.as_file(resources.files("kubectl_memdoctor.data").joinpath("demo.json")) as demo:
        diagnosis = diagnose_pods(open_recording([str(demo)], None), Selection(names=(block[1],)))
    assert block[2].splitlines() == list(page.lines(diagnosis, Layout(width=100)))
