"""Print the version of this plugin.

Examples:
  # The version of the plugin, not of the cluster
  kubectl memdoctor version
"""

from __future__ import annotations

from kubectl_memdoctor import __version__
from kubectl_memdoctor.exit_code import NOTHING_FOUND, UsageError
from kubectl_memdoctor.flags import CommandLine, Flag
from kubectl_memdoctor.screen import Screen

USAGE = "version"
FLAGS: tuple[Flag, ...] = ()


def run(line: CommandLine, screen: Screen) -> int:
    if line.words:
        raise UsageError("version takes no arguments")
    print(f"kubectl-memdoctor v{__version__}", file=screen.out)
    return NOTHING_FOUND
