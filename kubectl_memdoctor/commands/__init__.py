"""The subcommands, one file each. A file's docstring is its --help.

Beside it stand USAGE, FLAGS, ARGUMENTS where it takes any, and `run(line, screen)`, which returns the exit code. What
takes long to import (the Kubernetes client, the rules) is imported in `run`, so that --help, version and the completion
in a shell answer at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

from kubectl_memdoctor.flags import Arguments, CommandLine
from kubectl_memdoctor.help_text import Page
from kubectl_memdoctor.screen import Screen

NAMES = ("pod", "ns", "node", "logs", "calibrate", "explain", "demo", "completion", "options", "version")
"""In the order of --help."""


class Command(NamedTuple):
    page: Page
    run: Callable[[CommandLine, Screen], int]


def command(name: str) -> Command:
    """One of NAMES."""
    module = importlib.import_module(f"{__name__}.{name}")
    arguments = getattr(module, "ARGUMENTS", Arguments())
    return Command(Page(name, module.USAGE, (module.__doc__ or "").strip(), module.FLAGS, arguments), module.run)
