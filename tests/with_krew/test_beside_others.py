"""krew's program beside one that pip installed, under the oldest kubectl, and without any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cluster.control_plane import ControlPlane
from cluster.memdoctor import Ran

from kubectl_memdoctor import __version__

from .home import Home, Index, install, new_home, prepare, served
from .programs import KrewPrograms
from .stand_in import OLDER, older_manifest

CURRENT_LINE, OLDER_LINE = (f"kubectl-memdoctor v{version}\n" for version in (__version__, OLDER))


@pytest.fixture
def pip_installed(home: Home) -> Path:
    """The program that is installed beside this Python, as pip installs it."""
    program = home.bin / "kubectl-memdoctor"
    program.symlink_to(Path(sys.executable).with_name(program.name))
    return program


def test_kubectl_names_the_one_that_is_overshadowed(
    home: Home, index: Index, bundle: Path, pip_installed: Path
) -> None:
    prepare(home, index, bundle)
    install(home, bundle)
    listed = home.kubectl("plugin", "list")
    assert f"{pip_installed} is overshadowed by a similarly named plugin: {home.plugin}" in listed.out + listed.err
    ran = home.kubectl("memdoctor", "version")
    assert (ran.code, ran.out, ran.err) == (0, CURRENT_LINE, "")


def test_of_two_versions_the_first_on_path_runs(home: Home, index: Index, pip_installed: Path, tmp_path: Path) -> None:
    with served(tmp_path) as url:
        index.publish(older_manifest(tmp_path, url))
        home.krew("index", "add", "local", index.folder)
        home.krew("install", "local/memdoctor")
    by_krew, by_pip = home.plugin.parent, pip_installed.parent
    assert home.run(home.bin / "kubectl", "memdoctor", "version", path=(by_krew, by_pip)).out == OLDER_LINE
    assert home.run(home.bin / "kubectl", "memdoctor", "version", path=(by_pip, by_krew)).out == CURRENT_LINE


def test_without_kubectl_only_a_cluster_is_out_of_reach(home: Home, index: Index, bundle: Path) -> None:
    prepare(home, index, bundle)
    install(home, bundle)
    nowhere = (home.plugin.parent,)
    assert home.run(home.plugin, "version", path=nowhere) == Ran(0, CURRENT_LINE, "")
    assert home.run(home.plugin, "demo", path=nowhere).code == 0
    refused = home.run(home.plugin, "ns", path=nowhere)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: kubectl was not found on PATH, and its configuration is needed to reach the cluster:"
        " install kubectl, or set KUBECTL_PATH to it\n"
    )


def test_under_the_oldest_kubectl_it_finds_the_same(
    home_of_cluster: Home, krew: KrewPrograms, plane: ControlPlane, index: Index, bundle: Path, tmp_path: Path
) -> None:
    oldest = new_home(tmp_path / "old", krew.oldest_kubectl, krew, plane.kubeconfig())
    assert "v1.27." in oldest.kubectl("version", "--client", "-o", "json").out
    found = []
    for home in (home_of_cluster, oldest):
        prepare(home, index, bundle)
        install(home, bundle)
        ran = home.kubectl("memdoctor", "ns", "--all", "-o", "json")
        assert (ran.code, ran.err) == (1, "")
        found.append({name: (finding["rule"], finding["confidence"]) for name, finding in ran.findings().items()})
    assert found[0]
    assert found[0] == found[1]
