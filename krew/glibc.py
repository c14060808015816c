"""Which glibc a bundle needs: the newest symbol version that one of its ELF files asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

CEILING = (2, 28)
"""RHEL 8, Debian 10 and newer: what manylinux_2_28 means. https://peps.python.org/pep-0600/"""
_PREFIX = "GLIBC_"


def glibc_needs(folder: Path) -> dict[tuple[int, ...], list[str]]:
    """Version -> the files below `folder` that need it, oldest version first. Empty where nothing is ELF."""
    found: dict[tuple[int, ...], set[str]] = {}
    for path in sorted(folder.rglob("*")):
        for version in _versions(path) if path.is_file() else ():
            found.setdefault(version, set()).add(path.relative_to(folder).as_posix())
    return {version: sorted(found[version]) for version in sorted(found)}


def finding(folder: Path, ceiling: tuple[int, ...] = CEILING) -> str:
    """What is to be known about `folder` and the ceiling, in a line or some."""
    needs = glibc_needs(folder)
    above = {version: files for version, files in needs.items() if version > ceiling}
    if not needs:
        return "glibc: not needed"
    if not above:
        return f"glibc: {_text(max(needs))} is enough, the ceiling is {_text(ceiling)}"
    lines = [f"glibc: {_text(max(needs))} is needed, above the ceiling {_text(ceiling)}: built on too new a system"]
    return "\n".join([*lines, *(f"  {_text(version)}: {', '.join(files)}" for version, files in above.items())])


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _versions(path: Path) -> Iterator[tuple[int, ...]]:
    with path.open("rb") as file:
        try:
            sections: Any = ELFFile(file).iter_sections()
        except ELFError:
            return
        for section in sections:
            if isinstance(section, GNUVerNeedSection):
                yield from (
                    _version(entry.name)
                    for _, needs in section.iter_versions()
                    for entry in needs
                    if _is_glibc(entry.name)
                )


def _is_glibc(name: str) -> bool:
    """GLIBC_PRIVATE has no number: it binds to the machine's own glibc, and no wheel may need it."""
    return name.startswith(_PREFIX) and name.removeprefix(_PREFIX)[0].isdigit()


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removeprefix(_PREFIX).split("."))
