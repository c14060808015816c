"""THIRD_PARTY_LICENSES: the licence of everything inside that is not the program itself, in full."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from krew.contents import Collected, distributions, libraries, python_version

TEXTS = Path(__file__).parent / "licences"
_FILES = ("LICENSE", "LICENCE", "COPYING", "NOTICE")
BUILDER = "pyinstaller"
"""Its bootloader is what starts the program."""
_NAMED = {BUILDER: "GPL-2.0-or-later WITH Bootloader-exception", "protobuf": "BSD-3-Clause", "PySocks": "BSD-3-Clause"}
"""SPDX expressions of those that name their licence in other words."""


def third_party_licences(collected: Collected) -> str:
    """Each part with its name, version and licence as heading. Raises LookupError where a text is missing."""
    return "\n".join(_section(title, text) for title, text in _parts(collected))


def _parts(collected: Collected) -> Iterator[tuple[str, str]]:
    yield f"Python {python_version()} (PSF-2.0)", _python_licence()
    for found in [*distributions(collected), metadata.distribution(BUILDER)]:
        yield f"{found.name} {found.version} ({licence_name(found)})", _texts(found)
    for library in libraries(collected):
        text = (TEXTS / f"{library.name}.txt").read_text(encoding="utf-8")
        yield f"{library.name} {library.version}".rstrip() + f" ({library.licence})", text


def licence_name(found: metadata.Distribution) -> str:
    """An SPDX expression, else a classifier's words."""
    if found.name in _NAMED:
        return _NAMED[found.name]
    told = found.metadata.json
    classifiers = [entry.rpartition(" :: ")[2] for entry in told.get("classifier", ()) if entry.startswith("License")]
    return str(told.get("license_expression") or "; ".join(classifiers) or told["license"])


def _texts(found: metadata.Distribution) -> str:
    paths = [
        entry for entry in found.files or () if entry.name.upper().startswith(_FILES) and ".dist-info" in str(entry)
    ]
    if not paths:
        raise LookupError(f"{found.name} {found.version} brings no licence text")
    return "\n".join(Path(str(entry.locate())).read_text(encoding="utf-8") for entry in sorted(paths))


def _python_licence() -> str:
    folder = Path(sysconfig.get_path("stdlib"))
    path = next((place for place in (folder / "LICENSE.txt", folder.parent / "LICENSE.txt") if place.exists()), None)
    if path is None:
        raise LookupError(f"no LICENSE.txt of Python in {folder}")
    return path.read_text(encoding="utf-8")


def _section(title: str, text: str) -> str:
    line = "=" * 80
    return f"{line}\n{title}\n{line}\n\n{text.strip()}\n"
