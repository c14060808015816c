"""README opens with what the program really prints of the incident."""

from __future__ import annotations

import re
from importlib import resources

from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.diagnosis import diagnose_pods
from kubectl_memdoctor.printers import Layout
from kubectl_memdoctor.printers.page import lines
from kubectl_memdoctor.selection import Selection

from .pages import ROOT

COLUMNS = 100
"""Of the terminal that the README shows."""


def test_the_first_screen_is_what_the_program_prints() -> None:
    found = re.search(
        r"^```\n\$ kubectl memdoctor pod (\S+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert found
    with resources.as_file(resources.files("kubectl_memdoctor.data").joinpath("demo.json")) as path:
        diagnosis = diagnose_pods(open_recording([str(path)], None), Selection(names=(found[1],)))
    assert list(lines(diagnosis, Layout(width=COLUMNS))) == found[2].splitlines()
