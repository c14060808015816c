"""Have the TAB key complete commands, flags and names in your shell.

kubectl asks the program kubectl_complete-memdoctor on PATH what fits. pip, pipx and uv install it beside the plugin;
krew installs the plugin alone: there, install writes it, to the folder in which kubectl finds the plugin. It overwrites
no file that it did not write itself. print prints what it would write.

The completion of kubectl itself must be set up in the shell: see kubectl completion --help. Names of pods, nodes and
namespaces are asked of the cluster that the line is for; where there is no answer within a second, none are offered.
The variable MEMDOCTOR_COMPLETION_SECONDS changes that second, say for a credential plugin that takes longer.

Examples:
  # Once, after kubectl krew install memdoctor
  kubectl memdoctor completion install

  # To a folder of your own
  kubectl memdoctor completion install --to ~/bin

  # What it would write
  kubectl memdoctor completion print
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kubectl_memdoctor.exit_code import NOTHING_FOUND, CouldNotLook, UsageError
from kubectl_memdoctor.flags import TO, Arguments, CommandLine
from kubectl_memdoctor.screen import Screen

ACTIONS = ("install", "print")
USAGE = "completion (install [--to FOLDER] | print)"
FLAGS = (TO,)
ARGUMENTS = Arguments(choices=ACTIONS)
WINDOWS = "win32"
ON_WINDOWS = (
    "error: the script is for sh; on Windows, put a file kubectl_complete-memdoctor.cmd into a folder on PATH, with the"
    " line: @kubectl-memdoctor __complete %*"
)


def run(line: CommandLine, screen: Screen) -> int:
    from kubectl_memdoctor.completion import script

    action = _action(line)
    if sys.platform == WINDOWS:
        raise CouldNotLook(ON_WINDOWS)
    if action == "print":
        screen.out.write(script.SCRIPT)
        return NOTHING_FOUND
    _install(line.text(TO), os.environ.get("PATH", os.defpath), screen)
    return NOTHING_FOUND


def _action(line: CommandLine) -> str:
    if len(line.words) != 1 or line.words[0] not in ACTIONS:
        raise UsageError("say what to do: completion install, or completion print")
    if line.text(TO) and line.words[0] != "install":
        raise UsageError("--to goes with completion install")
    return line.words[0]


def _install(to: str, path: str, screen: Screen) -> None:
    import shutil

    from kubectl_memdoctor.completion import script

    there = shutil.which(script.NAME, path=path)
    if there and not to and not script.is_own(Path(there)):
        screen.say(f"{there} is on PATH already: nothing is to be done.")
        return
    folder = Path(to) if to else script.default_folder(path, Path.home())
    file = script.place(Path(there).parent if there and not to else folder)
    screen.say(f"{file} written.")
    if not script.is_on_path(file.parent, path):
        screen.say(f"{file.parent.absolute()} is not on PATH: kubectl finds it only once that is.")


def complete(words: Sequence[str], screen: Screen) -> int:
    """The hidden command that answers kubectl: `words` are those of the line behind `kubectl memdoctor`, the last of
    them the one that is being typed."""
    from kubectl_memdoctor.commands import NAMES, command
    from kubectl_memdoctor.completion.names import ask, offer, patience
    from kubectl_memdoctor.completion.protocol import lines
    from kubectl_memdoctor.completion.words import Commands, Question, what_fits

    *before, start = words or ("",)
    fitting = what_fits(before, start, Commands(NAMES, lambda name: command(name).page))
    if isinstance(fitting, Question):
        fitting = offer(fitting, ask, patience(os.environ))
    for text in lines(fitting):
        print(text, file=screen.out)
    return NOTHING_FOUND
