"""Machines as they are: what the program hands on, and where it cannot write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_cases import CASES

from .conftest import PLAIN, Done, run

CASE = CASES / "container-oom-killed" / "fires-init-container.yaml"
SHELLS_OWN = {"_", "PWD", "OLDPWD", "SHLVL", "KUBERNETES_EXEC_INFO"}
PATH = {"PATH": "/usr/bin:/bin"}


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def exported(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value for name, _, value in pairs if name not in SHELLS_OWN}


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"LD_LIBRARY_PATH": "/opt/mine:/opt/yours", "DYLD_LIBRARY_PATH": "/opt/other"},
        {"LD_LIBRARY_PATH": ""},
        {"_PYI_ARCHIVE_FILE": "/another/program", "LD_LIBRARY_PATH_ORIG": "/of/another"},
    ],
    ids=["nothing", "paths", "empty", "of another program"],
)
def test_kubectl_and_plugins_get_the_users_environment(own: dict[str, str], program: Path, tmp_path: Path) -> None:
    plugin = script(tmp_path / "plugin", f"env > '{tmp_path}/plugin.env'", "exit 1")
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": user}],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    kubectl = script(tmp_path / "kubectl", f"env > '{tmp_path}/kubectl.env'", f"cat '{tmp_path}/config.json'")
    environ = {**PATH, "HOME": str(tmp_path), "KUBECTL_PATH": str(kubectl), **own}
    done = run(program, "ns", environ=environ)
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    users = {name: value for name, value in environ.items() if not name.startswith("_PYI_")}
    assert exported(tmp_path / "kubectl.env") == users
    assert exported(tmp_path / "plugin.env") == users


def demo(program: Path, **environ: str) -> Done:
    return run(program, "demo", environ={**PATH, "HOME": "/", "LC_ALL": "C.UTF-8", **environ})


def test_a_home_without_write_permission(program: Path, tmp_path: Path) -> None:
    """/proc takes no files, not even from root."""
    assert demo(program, HOME="/proc").code == 0
    assert demo(program, HOME="/nonexistent").code == 0


@pytest.mark.parametrize("options", ["ro", "noexec"])
def test_a_temporary_folder_that_is_read_only_or_runs_nothing(options: str, program: Path, tmp_path: Path) -> None:
    """A recording on standard input, which is kept in the temporary folder for the time of the run."""
    folder = tmp_path / "small tmp"
    folder.mkdir()
    mount = f'mount -t tmpfs -o {options} none \'{folder}\' && exec "$0" "$@"'
    inside = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount)
    if run(*inside, "true").code != 0:
        pytest.skip("no user namespaces here")
    environ = {**os.environ, "TMPDIR": str(folder)}
    done = run(*inside, program, "ns", "--all", "-f", "-", "-o", "name", environ=environ, given=CASE.read_bytes())
    assert done == run(*PLAIN, "ns", "--all", "-f", "-", "-o", "name", given=CASE.read_bytes())


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "xx_XX.nonsense"])
def test_a_locale_never_matters_to_what_is_found(locale: str, program: Path, tmp_path: Path) -> None:
    case = tmp_path / "Fälle ☃.yaml"
    shutil.copyfile(CASE, case)
    done = run(program, "ns", "--all", "-f", case, "-o", "json", environ={**PATH, "LC_ALL": locale, "HOME": "/"})
    report = json.loads(done.out)
    assert report["findings"] == json.loads(CASE.with_suffix(".json").read_text())["findings"]
    assert report["cluster"]["recording"] == str(case)


def test_a_latin_1_locale(program: Path, tmp_path: Path) -> None:
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/en_US").exists():
        pytest.skip("no locale sources here")
    made = tmp_path / "en_US.ISO-8859-1"
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", made], check=True, capture_output=True)
    case = tmp_path / "snow ☃.yaml"
    case.write_text(CASE.read_text().replace("metadata:", "metadata:  # ☃", 1))
    environ = {**PATH, "LOCPATH": str(tmp_path), "LC_ALL": "en_US.ISO-8859-1", "HOME": "/"}
    done = run(program, "ns", "--all", "-f", case, environ=environ)
    assert done.code == 1
    assert "Traceback" not in done.err


def test_spaces_and_other_letters_in_the_place_it_is_installed_in(unpacked: Path, tmp_path: Path) -> None:
    place = tmp_path / "Ort mit Leerzeichen ☃ é"
    shutil.copytree(unpacked, place)
    program = place / "kubectl-memdoctor" / "kubectl-memdoctor"
    for locale in ("C", "C.UTF-8"):
        assert demo(program, LC_ALL=locale) == demo(unpacked / "kubectl-memdoctor" / "kubectl-memdoctor", LC_ALL=locale)


def test_a_folder_that_takes_no_files(unpacked: Path, tmp_path: Path) -> None:
    """Nothing is written beside the program, wherever an administrator put it."""
    before = sorted(unpacked.rglob("*"))
    assert demo(unpacked / "kubectl-memdoctor" / "kubectl-memdoctor").code == 0
    assert sorted(unpacked.rglob("*")) == before
