"""The set-up itself: the versions that were asked for, and one plain line where nothing can be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from .build import main
from .memdoctor import Shell
from .programs import PINNED, assets_folder, kubernetes_module, programs


def test_the_programs_are_of_the_version_that_was_asked_for(shell: Shell) -> None:
    module = kubernetes_module()
    if assets_folder() is not None or module is None:
        assert Path(shell.plane.programs.kubectl).parent == assets_folder()
        return
    assert shell.plane.api().call("GET", "/version")["gitVersion"] == f"v{module.version}"
    said = shell.run(["kubectl", "version", "--client", "-o", "json"], "admin", "default").json()
    assert said["clientVersion"]["gitVersion"] == f"v{module.version}"


@pytest.mark.parametrize(
    ("asked", "folder"),
    [("", "kubernetes-1.37"), ("1.37", "kubernetes-1.37"), ("1.30", "kubernetes-1.30"), ("v1.30", "kubernetes-1.30")],
)
def test_pinned_versions(monkeypatch: pytest.MonkeyPatch, asked: str, folder: str) -> None:
    monkeypatch.setenv("K8S_VERSION", asked)
    module = kubernetes_module()
    assert module is not None
    assert module.folder == PINNED / folder
    monkeypatch.setenv("K8S_VERSION", module.version)
    assert kubernetes_module() == module
    monkeypatch.setenv("K8S_VERSION", "1.3")
    assert kubernetes_module() is None


def test_without_go_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.delenv("MEMDOCTOR_NO_SKIP", raising=False)
    monkeypatch.setenv("PATH", "")
    assert main([]) == 0
    monkeypatch.setenv("MEMDOCTOR_NO_SKIP", "1")
    assert main([]) == 1
    assert capsys.readouterr().err == "no test cluster: Go is not installed\n" * 2


def test_a_folder_of_programs_must_hold_them_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    (tmp_path / "etcd").touch()
    assert main([]) == 1
    assert capsys.readouterr().err == f"error: KUBEBUILDER_ASSETS={tmp_path} holds no kubectl, kube-apiserver\n"
    (tmp_path / "kubectl").touch()
    (tmp_path / "kube-apiserver").touch()
    assert main([]) == 0
    found = programs()
    assert found is not None
    assert found.kubectl == tmp_path / "kubectl"


@pytest.mark.parametrize("arguments", [["--help"], ["--pin"], ["1.37"]], ids=" ".join)
def test_other_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("error: usage: python -m tests.cluster.build [--pin VERSION]")


@pytest.mark.parametrize("asked", ["2.0", "latest", "1.37.x.y", "1"])
def test_what_is_no_version_is_said(
    monkeypatch: pytest.MonkeyPatch, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("K8S_VERSION", asked)
    assert main([]) == 1
    assert capsys.readouterr().err == f"error: K8S_VERSION is {asked!r}, not a version like 1.37 or 1.37.2\n"
