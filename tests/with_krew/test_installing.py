"""From krew's install to its uninstall, with the real krew under the real kubectl."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from cluster.seeded import INCIDENT

from krew.manifest import LICENCES, archives, manifest_of
from kubectl_memdoctor import __version__

from .home import Home, Index, install, prepare, served
from .stand_in import OLDER, older_manifest


@pytest.fixture
def installed(home_of_cluster: Home, index: Index, bundle: Path) -> Home:
    prepare(home_of_cluster, index, bundle)
    install(home_of_cluster, bundle)
    return home_of_cluster


def test_it_is_a_link_to_a_folder_of_this_version_with_its_licences(installed: Home) -> None:
    store = installed.krew_root / "store" / "memdoctor" / f"v{__version__}"
    assert installed.plugin.readlink() == store / "kubectl-memdoctor" / "kubectl-memdoctor"
    assert sorted(path.name for path in store.iterdir()) == sorted(["kubectl-memdoctor", *LICENCES])


@pytest.mark.parametrize("version", [["version"], ["--version"]], ids=" ".join)
def test_it_says_its_version(installed: Home, version: list[str]) -> None:
    ran = installed.kubectl("memdoctor", *version)
    assert (ran.code, ran.out, ran.err) == (0, f"kubectl-memdoctor v{__version__}\n", "")


def test_the_demo(installed: Home) -> None:
    ran = installed.kubectl("memdoctor", "demo")
    assert ran.code == 0, ran.err
    assert "sandbox-memory-limit-too-small" in ran.out
    assert "kubectl memdoctor demo busybox-deploy" in ran.err


def test_a_whole_cluster(installed: Home) -> None:
    ran = installed.kubectl("memdoctor", "ns", "--all", "-o", "json")
    assert (ran.code, ran.err) == (1, "")
    assert f"default/{INCIDENT}" in ran.findings()
    table = installed.kubectl("memdoctor", "ns", "--all")
    assert table.code == 1
    assert "deployment/busybox-deploy" in table.out


def test_a_run_and_uninstall_leave_nothing(home_of_cluster: Home, index: Index, bundle: Path) -> None:
    home = home_of_cluster
    prepare(home, index, bundle)
    before = home.tree()
    install(home, bundle)
    during = home.tree()
    assert home.kubectl("memdoctor", "ns", "--all").code == 1
    assert home.tree() == during
    home.krew("uninstall", "memdoctor")
    assert home.tree() == before


def test_upgrade_takes_the_place_of_an_older_version(home: Home, index: Index, bundle: Path, tmp_path: Path) -> None:
    with served(tmp_path) as older, served(bundle.parent) as newer:
        index.publish(older_manifest(tmp_path, older))
        home.krew("index", "add", "local", index.folder)
        home.krew("install", "local/memdoctor")
        assert home.kubectl("memdoctor", "version").out == f"kubectl-memdoctor v{OLDER}\n"
        index.publish(manifest_of(archives(bundle.parent, __version__), __version__, newer))
        assert re.search(rf"memdoctor v{re.escape(OLDER)} -> v{re.escape(__version__)}", home.krew("upgrade"))
    assert home.kubectl("memdoctor", "version").out == f"kubectl-memdoctor v{__version__}\n"
    assert [path.name for path in (home.krew_root / "store" / "memdoctor").iterdir()] == [f"v{__version__}"]


def test_unpacked_and_linked_it_needs_no_krew(home: Home, bundle: Path) -> None:
    place = home.folder / "lib"
    shutil.unpack_archive(bundle, place)
    (home.bin / "kubectl-memdoctor").symlink_to(place / "kubectl-memdoctor" / "kubectl-memdoctor")
    assert home.kubectl("memdoctor", "version").out == f"kubectl-memdoctor v{__version__}\n"
