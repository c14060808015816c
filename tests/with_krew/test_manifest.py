"""What krew's own validator says of the manifests."""

from __future__ import annotations

from pathlib import Path

import yaml

from krew.manifest import PLATFORMS, archives, downloads, manifest_of
from kubectl_memdoctor import __version__

from .home import Home, served
from .programs import KrewPrograms
from .stand_in import release


def validate(home: Home, krew: KrewPrograms, manifest: str, *options: str) -> str:
    """Everything that the validator says; it installs every platform's archive unless an option forbids it."""
    file = home.folder / "memdoctor.yaml"
    file.write_text(manifest)
    ran = home.run(krew.validate_krew_manifest, f"-manifest={file}", *options)
    assert ran.code == 0, ran.err
    return ran.err


def test_the_bundle_of_this_machine(home: Home, krew: KrewPrograms, bundle: Path) -> None:
    with served(bundle.parent) as url:
        manifest = manifest_of(archives(bundle.parent, __version__), __version__, url)
        said = validate(home, krew, manifest)
    assert f"all {manifest.count('sha256:')} spec.platforms installed fine" in said


def test_a_release_for_every_platform(home: Home, krew: KrewPrograms, tmp_path: Path) -> None:
    found = archives(release(tmp_path / "release", __version__), __version__)
    with served(tmp_path / "release") as url:
        said = validate(home, krew, manifest_of(found, __version__, url))
    assert f"all {len(PLATFORMS)} spec.platforms installed fine" in said


def test_the_manifest_that_is_published(home: Home, krew: KrewPrograms, bundle: Path) -> None:
    """But for fetching: until it is published, there is nothing at its addresses."""
    manifest = manifest_of(archives(bundle.parent, __version__), __version__, downloads(__version__))
    assert "structural validation OK" in validate(home, krew, manifest, "-skip-install")
    assert yaml.safe_load(manifest)["spec"]["version"] == f"v{__version__}"
