"""List the options about the connection.

The commands that look at pods take them. They are kubectl's own, and mean what they mean in kubectl.

Examples:
  # The options
  kubectl memdoctor options
"""

from __future__ import annotations

from kubectl_memdoctor.exit_code import NOTHING_FOUND, UsageError
from kubectl_memdoctor.flags import CONNECTION, CommandLine, Flag
from kubectl_memdoctor.help_text import flag_lines
from kubectl_memdoctor.screen import Screen

USAGE = "options"
FLAGS: tuple[Flag, ...] = ()


def run(line: CommandLine, screen: Screen) -> int:
    if line.words:
        raise UsageError("options takes no arguments")
    print("These options can be passed to the commands pod and ns:\n", file=screen.out)
    for text in flag_lines(CONNECTION):
        print(text, file=screen.out)
    return NOTHING_FOUND
