"""The runtimes that are measured: runc and crun as Debian ships them, and runc built the way its releases are built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.go_programs import BuildError, alone, run_go
from cluster.programs import CACHE, pinned_version
from node.packages import package, package_version, relocated
from node.programs import generation

PINNED = Path(__file__).parent / "go"
RUNC = "github.com/opencontainers/runc"
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13", "sid": "Debian sid"}
PROGRAMS = {"runc": "usr/sbin/runc", "crun": "usr/bin/crun"}


@dataclass(frozen=True, slots=True)
class Runtime:
    """One program to measure."""

    handler: str
    """Its name in containerd's configuration and in file names: `runc-1.1.12`, `crun-bookworm`."""
    kind: str
    """`runc` or `crun`."""
    version: str
    build: str
    """Who built it and how."""
    file: Path
    generation: str = "current"
    """Of the containerd that it runs under."""

    @property
    def binary_bytes(self) -> int:
        return self.file.stat().st_size


def runtimes() -> tuple[Runtime, ...]:
    """All of them, after building and fetching what is missing. Raises BuildError."""
    with alone():
        built = [_released(folder) for folder in sorted(PINNED.glob("runc-*"), key=_numbers)]
        packaged = [_packaged(kind, suite) for suite in SUITES for kind in PROGRAMS]
    return tuple(sorted([*built, *packaged, _of_node()], key=lambda runtime: (runtime.kind, runtime.handler)))


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def _packaged(kind: str, suite: str) -> Runtime:
    folder = package(kind, suite, with_dependencies=True)
    return Runtime(
        handler=f"{kind}-{suite}",
        kind=kind,
        version=package_version(folder),
        build=f"{SUITES[suite]}, package {folder.name.partition('_')[2].replace('%3a', ':')}",
        file=relocated(folder, PROGRAMS[kind]),
        generation="distribution" if suite == "bookworm" else "current",
    )


def _of_node() -> Runtime:
    """That of the node which the other tests run, so that its minimum is known as well."""
    current = generation("current")
    file = current.node["runc"]
    build = f"built for the tests' own node (static, stripped) with {_go_version(file)}"
    return Runtime(handler="runc-node", kind="runc", version=current.runc_version, build=build, file=file)


def _released(folder: Path) -> Runtime:
    version = pinned_version(folder, RUNC)
    file = CACHE / f"lab-runc-{version}" / "runc"
    if not file.exists():
        _build_runc(folder, version, file)
    kind = "static, PIE, stripped" if _is_pie(version) else "static, stripped"
    build = f"built as its releases are ({kind}) with {_go_version(file)}"
    return Runtime(handler=f"runc-{version}", kind="runc", version=version, build=build, file=file)


def _build_runc(folder: Path, version: str, file: Path) -> None:
    """As https://github.com/opencontainers/runc/blob/v1.1.12/script/release_build.sh does: its size, and that it must
    be relocated, decide how much memory a runtime needs that copies itself."""
    print(f"building runc {version}: a minute, once ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.unfinished")
    link = "-linkmode external -extldflags -static-pie" if _is_pie(version) else "-extldflags -static"
    mode = ["-buildmode=pie"] if _is_pie(version) else []
    tags = ["seccomp", "netgo", "osusergo", *(["urfave_cli_no_docs"] if _numbers(folder) >= [1, 2] else [])]
    environ = {**os.environ, "CGO_ENABLED": "1", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    ldflags = f"-w -s -buildid= {link} -X main.version={version}"
    options = ["-trimpath", *mode, "-tags", ",".join(tags), "-ldflags", ldflags]
    run_go(folder, "build", *options, "-o", str(unfinished), RUNC, environ=environ)
    unfinished.replace(file)
    print(f"built {file} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _is_pie(version: str) -> bool:
    """Releases are static position-independent programs since 1.1.0."""
    return not version.startswith("1.0.")


def _go_version(file: Path) -> str:
    """`Go 1.26.8`, that a program was built with."""
    done = subprocess.run(["go", "version", str(file)], capture_output=True, text=True, check=False)
    found = re.search(r": go(\S+)", done.stdout)
    if found is None:
        raise BuildError(f"go version {file}: {done.stderr.strip()}")
    return f"Go {found[1]}"
