"""What krew and its index ask of a plugin's manifest, and that all manifests come from one text.

The rules: https://krew.sigs.k8s.io/docs/developer-guide/develop/naming-guide/ and
https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from go_program import run_go
from with_krew.stand_in import archive, release

from krew.manifest import (
    INDEXED,
    MANIFEST,
    PLATFORMS,
    ROOT,
    TEMPLATE,
    ManifestError,
    Platform,
    archives,
    downloads,
    homepage,
    main,
    manifest_of,
    template,
    write,
)
from kubectl_memdoctor import __version__

LINUX, WINDOWS = Platform("linux", "amd64"), Platform("windows", "amd64")


@pytest.fixture
def text(tmp_path: Path) -> str:
    found = archives(release(tmp_path / "dist", __version__), __version__)
    return manifest_of(found, __version__, downloads(__version__))


@pytest.fixture
def spec(text: str) -> dict[str, Any]:
    manifest = yaml.safe_load(text)
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("Plugin", "memdoctor")
    spec: dict[str, Any] = manifest["spec"]
    return spec


def test_the_description_is_one_for_a_list_of_plugins(text: str, spec: dict[str, Any]) -> None:
    assert len(spec["shortDescription"]) <= 50
    assert not re.search(r"kubectl|plugin|\n", spec["shortDescription"])
    assert "kubectl memdoctor" not in spec["description"] + spec["caveats"]
    assert [line for line in text.splitlines() if len(line) > 80 and "uri:" not in line and "sha256:" not in line] == []


def test_archives_are_those_of_the_release(spec: dict[str, Any], tmp_path: Path) -> None:
    assert spec["version"] == f"v{__version__}"
    assert spec["homepage"] == homepage()
    assert [tuple(entry["selector"]["matchLabels"].values()) for entry in spec["platforms"]] == [
        (platform.os, platform.arch) for platform in PLATFORMS
    ]
    for entry in spec["platforms"]:
        folder, _, name = entry["uri"].rpartition("/")
        assert folder == f"{homepage()}/releases/download/v{__version__}"
        content = (tmp_path / "dist" / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"])


def test_what_is_installed_is_the_program_with_its_licences(spec: dict[str, Any]) -> None:
    for entry in spec["platforms"]:
        assert [file["from"] for file in entry["files"]] == ["kubectl-memdoctor", "LICENSE", "THIRD_PARTY_LICENSES"]
        assert all(file["to"] == posixpath.normpath(file["to"]) for file in entry["files"])
        assert entry["bin"].endswith(".exe") == (entry["selector"]["matchLabels"]["os"] == "windows")


def test_the_committed_template_is_that_of_the_release() -> None:
    assert (ROOT / TEMPLATE).read_text(encoding="utf-8") == template()


def test_the_bot_makes_the_same_manifest_of_the_template(text: str, spec: dict[str, Any]) -> None:
    checksums = {entry["uri"]: entry["sha256"] for entry in spec["platforms"]}
    asked = {"template": template(), "tag": f"v{__version__}", "checksums": checksums}
    assert run_go("krewtemplate", json.dumps(asked)) == text.splitlines()


def test_a_committed_index_offers_one_release_for_every_platform() -> None:
    """Before the first release there is none."""
    if not (ROOT / INDEXED).exists():
        assert [path.name for path in (ROOT / INDEXED).parent.iterdir()] == ["README.md"]
        return
    spec = yaml.safe_load((ROOT / INDEXED).read_text())["spec"]
    version = spec["version"].removeprefix("v")
    assert [entry["uri"] for entry in spec["platforms"]] == [
        f"{downloads(version)}/{platform.archive(version)}" for platform in PLATFORMS
    ]


def test_a_platform_without_an_archive_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(tmp_path, LINUX, __version__)
    archive(tmp_path, WINDOWS, "0.0.1")
    root = tmp_path / "root"
    root.mkdir()
    assert write(root, tmp_path, release=False) == (TEMPLATE, MANIFEST)
    (entry,) = yaml.safe_load((root / MANIFEST).read_text())["spec"]["platforms"]
    assert entry["selector"]["matchLabels"] == {"os": "linux", "arch": "amd64"}
    named = capsys.readouterr().err
    assert all(platform.archive(__version__) in named for platform in PLATFORMS if platform != LINUX)


def test_a_release_needs_every_platform_and_fills_the_index(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    archive(tmp_path, LINUX, __version__)
    with pytest.raises(ManifestError, match=r"linux_arm64\.tar\.gz, .*darwin.*, .*windows_amd64\.zip$"):
        write(root, tmp_path, release=True)
    assert list(root.iterdir()) == []
    assert write(root, release(tmp_path, __version__), release=True) == (TEMPLATE, MANIFEST, INDEXED)
    assert (root / INDEXED).read_bytes() == (root / MANIFEST).read_bytes()


@pytest.mark.parametrize("lacking", ["LICENSE", "THIRD_PARTY_LICENSES", "kubectl-memdoctor/kubectl-memdoctor"])
def test_an_archive_that_krew_could_not_install_is_refused(tmp_path: Path, lacking: str) -> None:
    path = archive(tmp_path, LINUX, __version__, without=lacking)
    with pytest.raises(ManifestError, match=f"^{re.escape(str(path))} holds no {lacking}$"):
        manifest_of({LINUX: path}, __version__, "")


@pytest.mark.parametrize("platform", [LINUX, WINDOWS], ids=lambda platform: str(platform.os))
def test_a_damaged_archive_is_named(tmp_path: Path, platform: Platform) -> None:
    path = tmp_path / platform.archive(__version__)
    path.write_bytes(b"\x1f\x8b cut off")
    with pytest.raises(ManifestError, match=f"^{re.escape(str(path))} cannot be read: "):
        manifest_of({platform: path}, __version__, "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 2, "error: usage: python -m krew.manifest"),
        (["--release", "one", "two"], 2, "error: usage: python -m krew.manifest"),
        (["/nowhere"], 1, "error: /nowhere holds no kubectl-memdoctor_"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == 1
