"""Files of Debian packages, of any suite, unpacked into the cache folder: nothing of them is installed.

A suite's lists come from the mirror that this machine's own apt uses. What is in the cache folder is used as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from cluster.go_programs import BuildError
from cluster.programs import CACHE

DEBIAN = CACHE / "debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LOADER = "ld-linux-x86-64.so.2"


def package(name: str, suite: str, *, with_dependencies: bool = False) -> Path:
    """The folder that holds the package's files, `suite` being `bookworm`, `trixie` or `sid`; named NAME_VERSION.

    With dependencies: those of all packages that it needs, in the same folder. Raises BuildError.
    """
    place = DEBIAN / suite / "with-dependencies" if with_dependencies else DEBIAN / suite
    kept = sorted(place.glob(f"{name}_*"))
    if kept:
        return kept[-1]
    options = _apt_options(suite)
    version = _candidate(name, suite, options)
    names = _with_dependencies(name, options) if with_dependencies else [name]
    folder = place / f"{name}_{version.replace(':', '%3a')}"
    with tempfile.TemporaryDirectory(dir=DEBIAN) as scratch:
        _run(["apt-get", *options, "-qq", "-o", "APT::Sandbox::User=root", "download", *names], Path(scratch))
        unfinished = place / f".{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for file in sorted(Path(scratch).glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(file), str(unfinished)], Path(scratch))
    unfinished.replace(folder)
    return folder


def package_version(folder: Path) -> str:
    """`crun_1.28-1` -> `1.28`"""
    return re.split(r"[-+~]", folder.name.partition("_")[2].rpartition("%3a")[2])[0]


def relocated(folder: Path, program: str) -> Path:
    """A copy of `program` (`usr/bin/crun`) that runs with the libraries in `folder`, not with the machine's own.

    A loader in front of it would not do: crun starts itself anew through /proc/self/exe.
    """
    copy = folder / "relocated" / Path(program).name
    if copy.exists():
        return copy
    copy.parent.mkdir(exist_ok=True)
    unfinished = copy.with_name(f".{copy.name}.unfinished")
    shutil.copy2(folder / program, unfinished)
    libraries = [folder / "usr/lib/x86_64-linux-gnu", folder / "lib/x86_64-linux-gnu"]
    loaders = (place / LOADER for place in libraries)
    loader = next((str(file) for file in loaders if file.exists()), None)
    if loader is None:
        raise BuildError(f"{folder} holds no {LOADER}: unpack the package with its dependencies")
    path = ":".join(str(place) for place in libraries)
    _run(["patchelf", "--set-interpreter", loader, "--force-rpath", "--set-rpath", path, str(unfinished)], folder)
    unfinished.replace(copy)
    return copy


def _apt_options(suite: str) -> list[str]:
    """Settings that keep apt to one suite and to folders of ours; its lists are fetched when they are not there."""
    folder = DEBIAN / suite / "apt"
    lists, archives = folder / "lists", folder / "cache" / "archives"
    options = [
        *("-o", f"Dir::Etc::sourcelist={folder / 'sources.list'}", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State::lists={lists}", "-o", "Dir::State::status=/dev/null"),
        *("-o", f"Dir::Cache={folder / 'cache'}", "-o", "Acquire::Languages=none"),
    ]
    if not (folder / "sources.list").exists():
        for part in (lists / "partial", archives / "partial"):
            part.mkdir(parents=True, exist_ok=True)
        unfinished = folder / ".sources.list"
        unfinished.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
        fetching = [option.replace(str(folder / "sources.list"), str(unfinished)) for option in options]
        _run(["apt-get", *fetching, "-qq", "update"], folder)
        unfinished.replace(folder / "sources.list")
    return options


def _mirror() -> str:
    """Where this machine's apt gets Debian itself from. Its lists are fetched anew, elsewhere: it may have none yet."""
    lists = DEBIAN / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::lists={lists}", "-qq"]
    _run(["apt-get", *options, "update"])
    form = "$(ORIGIN) $(REPO_URI) $(CODENAME)"
    lines = _run(["apt-get", *options, "indextargets", "--format", form, "Created-By: Packages"])
    found = re.search(r"^Debian (\S+) [a-z]+$", lines, re.MULTILINE)
    if found is None:
        raise BuildError("this machine's apt knows no mirror of Debian itself")
    return found[1]


def _candidate(name: str, suite: str, options: list[str]) -> str:
    found = re.search(r"Candidate: (\S+)", _run(["apt-cache", *options, "policy", name]))
    if found is None or found[1] == "(none)":
        raise BuildError(f"Debian {suite} has no package {name}")
    return found[1]


def _with_dependencies(name: str, options: list[str]) -> list[str]:
    kinds = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    listed = _run(["apt-cache", *options, "depends", "--recurse", *(f"--no-{kind}" for kind in kinds), name])
    return sorted(set(re.findall(r"^([a-z0-9][a-z0-9.+-]*)$", listed, re.MULTILINE)))


def _run(command: list[str], folder: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is not installed") from None
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command[:1] + command[-2:])} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
