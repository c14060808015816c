"""Writes what krew installs from: `python -m krew.manifest [--release] [FOLDER]`.

FOLDER (default dist) holds the archives of this version, from one platform or from all. Three files come from the one
text in here:

- `.krew.yaml`, of which krew-release-bot makes the manifest for krew's own index: always the same, and committed;
- `krew/memdoctor.yaml`, with the checksums of the archives that are there; a platform without an archive is left out;
- with --release, where no archive may be missing, also `plugins/memdoctor.yaml`, which makes this repository an index
  of its own.

What a manifest may say: https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
"""

from __future__ import annotations

import configparser
import hashlib
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from krew.platforms import archive_name
from kubectl_memdoctor import __version__

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
TEMPLATE = Path(".krew.yaml")
MANIFEST = Path("krew", "memdoctor.yaml")
INDEXED = Path("plugins", "memdoctor.yaml")
"""Where krew looks in an index: https://krew.sigs.k8s.io/docs/developer-guide/custom-indexes/"""

PROGRAM = "kubectl-memdoctor"
LICENCES = ("LICENSE", "THIRD_PARTY_LICENSES")
SHORT_DESCRIPTION = "Explain why memory kills a pod or its start"
DESCRIPTION = """\
Behind a pod that hangs in ContainerCreating, or dies again and again, often
stands a memory limit that no event names: 300m typed for 300Mi, less than
the runtime needs for the pod's sandbox, the default of a LimitRange, or a
kill that no status shows.

It looks at pods, a namespace or the whole cluster, and says what the cause
is, what proves that, how sure it is, what was ruled out, what could not be
looked at, and which command mends it. It also says when memory is not the
reason. What somebody saved with kubectl will do in place of a cluster.
"""
CAVEATS = """\
Looking needs get and list, and never reads a secret. What you may not read
is named as not checked; docs/rbac.md in the repository has roles with just
the rights that are used.
"""


class ManifestError(Exception):
    """Its text is the line for stderr."""


@dataclass(frozen=True, slots=True)
class Platform:
    """In Go's words, which krew uses."""

    os: str
    arch: str

    @property
    def executable(self) -> str:
        return f"{PROGRAM}/{PROGRAM}.exe" if self.os == "windows" else f"{PROGRAM}/{PROGRAM}"

    def archive(self, version: str) -> str:
        """The archive's name for a version without `v`."""
        return archive_name(version, self.os, self.arch)


PLATFORMS = (
    Platform("linux", "amd64"),
    Platform("linux", "arm64"),
    Platform("darwin", "amd64"),
    Platform("darwin", "arm64"),
    Platform("windows", "amd64"),
)


def main(arguments: list[str]) -> int:
    release = arguments[:1] == ["--release"]
    folders = arguments[1:] if release else arguments
    if len(folders) > 1 or any(folder.startswith("-") for folder in folders):
        print("error: usage: python -m krew.manifest [--release] [FOLDER]", file=sys.stderr)
        return 2
    try:
        written = write(ROOT, Path(*folders) if folders else DIST, release=release)
    except ManifestError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(map(str, written)))
    return 0


def write(root: Path, folder: Path, *, release: bool) -> tuple[Path, ...]:
    """Writes the files below `root`, and returns their paths there. Raises ManifestError, and writes nothing then."""
    found = archives(folder, __version__)
    missing = [platform.archive(__version__) for platform in PLATFORMS if platform not in found]
    if not found or (release and missing):
        raise ManifestError(f"{folder} holds no {', '.join(missing)}")
    text = manifest_of(found, __version__, downloads(__version__))
    files = {TEMPLATE: template(), MANIFEST: text, **({INDEXED: text} if release else {})}
    for path, content in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(content, encoding="utf-8", newline="\n")
    if missing:
        print(f"left out of {MANIFEST}: {', '.join(missing)}", file=sys.stderr)
    return tuple(files)


def archives(folder: Path, version: str) -> dict[Platform, Path]:
    """Those that are in the folder."""
    named = {platform: folder / platform.archive(version) for platform in PLATFORMS}
    return {platform: path for platform, path in named.items() if path.is_file()}


def manifest_of(found: Mapping[Platform, Path], version: str, url: str) -> str:
    """The manifest for archives that are fetched from the folder `url`. Raises ManifestError."""
    return _manifest(
        f"v{version}",
        {
            platform: f"uri: {url}/{path.name}\n    sha256: {_checksum(platform, path)}"
            for platform, path in found.items()
        },
    )


def template() -> str:
    """krew-release-bot puts `uri` and `sha256` where addURIAndSha stands, indented as here.

    It knows a tag's whole name only, and no function but Go's own: https://pkg.go.dev/text/template#hdr-Functions
    """
    tag, version = "{{ .TagName }}", "{{ slice .TagName 1 }}"
    return _manifest(
        tag,
        {
            platform: f'{{{{addURIAndSha "{_release(tag)}/{platform.archive(version)}" .TagName }}}}'
            for platform in PLATFORMS
        },
    )


def downloads(version: str) -> str:
    """The folder of a release on GitHub."""
    return _release(f"v{version}")


def _release(tag: str) -> str:
    return f"{homepage()}/releases/download/{tag}"


def homepage() -> str:
    """The repository, by which krew-release-bot also knows whose plugin it is."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["metadata"]["url"]


def _checksum(platform: Platform, archive: Path) -> str:
    """Raises ManifestError where krew would find nothing to install, or no licence."""
    lacking = {platform.executable, *LICENCES} - _names(archive)
    if lacking:
        raise ManifestError(f"{archive} holds no {', '.join(sorted(lacking))}")
    with archive.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _names(archive: Path) -> set[str]:
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                return set(packed.namelist())
        with tarfile.open(archive) as packed_tar:
            return set(packed_tar.getnames())
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{archive} cannot be read: {error}") from None


def _manifest(version: str, places: Mapping[Platform, str]) -> str:
    """`places` are the lines that say where each platform's archive is, for four columns of indentation."""
    head = f"""\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: memdoctor
spec:
  version: {version}
  homepage: {homepage()}
  shortDescription: {SHORT_DESCRIPTION}
  description: |
{textwrap.indent(DESCRIPTION, "    ")}\
  caveats: |
{textwrap.indent(CAVEATS, "    ")}\
  platforms:
"""
    return head + "".join(_platform(platform, place) for platform, place in places.items())


def _platform(platform: Platform, place: str) -> str:
    files = "".join(f"    - from: {name}\n      to: .\n" for name in (PROGRAM, *LICENCES))
    return f"""\
  - selector:
      matchLabels:
        os: {platform.os}
        arch: {platform.arch}
    {place}
    bin: {platform.executable}
    files:
{files}"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
