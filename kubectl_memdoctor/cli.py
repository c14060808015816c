"""The program: parse, dispatch, exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from kubectl_memdoctor.commands import NAMES, command
from kubectl_memdoctor.completion import COMPLETE
from kubectl_memdoctor.exit_code import (
    COULD_NOT_LOOK,
    INTERRUPTED,
    NOT_THE_WHOLE,
    NOTHING_FOUND,
    CouldNotLook,
    Interrupted,
    UsageError,
)
from kubectl_memdoctor.flags import COLOR, HELP, PROGRAM, VERSION, CommandLine, parse, refuse_others
from kubectl_memdoctor.frozen import restore_environment
from kubectl_memdoctor.help_text import command_help, overview
from kubectl_memdoctor.screen import discard, open_screen, open_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """One run; returns the exit code. Errors are on stderr then, in kubectl's form."""
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _complain([f"error: {error}", f"See '{PROGRAM} --help' for usage."])
    except CouldNotLook as error:
        return _complain(str(error).splitlines())
    except BrokenPipeError:
        discard(sys.stdout)
        return NOTHING_FOUND
    except OSError as error:
        discard(sys.stdout)
        return _complain([f"error: {error.strerror or error}"])
    except Interrupted as error:
        return error.exit_code
    except KeyboardInterrupt:
        _complain([NOT_THE_WHOLE])
        return INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == COMPLETE:
        return _complete(arguments[1:])
    line = parse(arguments)
    if line.flag(VERSION):
        return _dispatch("version", CommandLine((), {}))
    if not line.words:
        return _print(overview(command(name).page for name in NAMES))
    name = line.words[0]
    if name == HELP.name:
        return _run([*line.words[1:], f"--{HELP.name}"])
    if name not in NAMES:
        raise UsageError(f'unknown command "{name}" for "{PROGRAM}"{_close_to(name)}')
    if line.flag(HELP):
        return _print(command_help(command(name).page))
    if "" in line.words:
        raise UsageError("an argument is empty: is a variable not set?")
    return _dispatch(name, CommandLine(line.words[1:], line.given))


def _dispatch(name: str, line: CommandLine) -> int:
    chosen = command(name)
    refuse_others(line, chosen.page.flags, name)
    return chosen.run(line, open_screen(line.text(COLOR)))


def _complete(words: Sequence[str]) -> int:
    from kubectl_memdoctor.commands.completion import complete

    return complete(words, open_screen(COLOR.default))


def _print(lines: Iterable[str]) -> int:
    for text in lines:
        print(text)
    return NOTHING_FOUND


def _close_to(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, NAMES, n=1)
    return f"; did you mean {close[0]}?" if close else f"; the commands are {', '.join(NAMES)}"


def _complain(lines: Iterable[str]) -> int:
    from kubectl_memdoctor.clean import clean

    for text in lines:
        print(clean(text), file=sys.stderr)
    return COULD_NOT_LOOK


def run() -> NoReturn:
    """The console script. It ends the process at once: a request that is still under way has no one to wait for it."""
    restore_environment()
    open_streams()
    try:
        code = main()
    except Exception:
        import traceback

        # Python's own exit code for this, 1, would read as "found something".
        traceback.print_exc()
        code = _complain([f"error: this is a fault in {PROGRAM} itself: please report it with the lines above"])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def complete() -> NoReturn:
    """The console script `kubectl_complete-memdoctor`."""
    sys.argv.insert(1, COMPLETE)
    run()
