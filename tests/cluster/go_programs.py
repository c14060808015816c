"""Programs built from the Go module proxy into the cache folder: each once, one build at a time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .programs import CACHE


class BuildError(Exception):
    """Its text is the line for stderr."""


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One build at a time on this machine; the others wait, and then find everything there."""
    import fcntl  # Linux only, as all that comes after it.

    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go_build(
    folder: Path, package: str, file: Path, *, ldflags: str = "-s -w", tags: tuple[str, ...] = (), cgo: bool = False
) -> None:
    """Builds `package` with the go.mod in `folder`. The file appears under its name only when it is whole.

    Raises BuildError.
    """
    print(f"building {file.parent.name}/{file.name}: some minutes, once ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    flags = "-mod=readonly -buildvcs=false"
    environ = {**os.environ, "CGO_ENABLED": str(int(cgo)), "GOFLAGS": flags, "GOWORK": "off"}
    options = ["-trimpath", "-ldflags", ldflags, "-tags", ",".join(tags)]
    run_go(folder, "build", *options, "-o", str(unfinished), package, environ=environ)
    unfinished.replace(file)
    print(f"built {file} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def run_go(folder: Path, *arguments: str, environ: dict[str, str] | None = None) -> str:
    """What Go prints on stdout; what it says on stderr goes through. Raises BuildError when it fails."""
    done = subprocess.run(["go", *arguments], cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise BuildError(f"go {arguments[0]} failed in {folder}: see above")
    return done.stdout
