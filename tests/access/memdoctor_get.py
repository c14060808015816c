"""memdoctor's way to pods, by its whole command line."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.exit_code import COULD_NOT_LOOK


def get_pod(flags: Iterable[str], name: str = "web") -> str:
    """Nothing when the pod was read, else what was written on stderr."""
    return _complaint("pod", name, *flags)


def list_pods(flags: Iterable[str], label_selector: str = "", field_selector: str = "") -> str:
    return _complaint("ns", f"--selector={label_selector}", f"--field-selector={field_selector}", *flags)


def _complaint(*arguments: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as complaint:
        code = main(arguments)
    return complaint.getvalue().rstrip("\n") if code == COULD_NOT_LOOK else ""
