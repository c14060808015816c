"""What kubectl itself offers behind `kubectl memdoctor`, with names of a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubectl_memdoctor.cluster.api import ApiServer
from kubectl_memdoctor.cluster.connection import connect
from kubectl_memdoctor.cluster.kubeconfig import ConnectionFlags, start
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.commands import NAMES
from kubectl_memdoctor.flags import OUTPUTS
from kubectl_memdoctor.objects import PODS

from .api import Json
from .control_plane import ControlPlane
from .memdoctor import Shell
from .seeded import Seeded

LONG_SECONDS = 100.0
PATIENT = {"MEMDOCTOR_COMPLETION_SECONDS": f"{LONG_SECONDS}"}
"""A second may be short on a busy machine."""


@dataclass(frozen=True, slots=True)
class Offered:
    """`directive` is cobra's name of it; `noise` what was said beside what kubectl says."""

    words: tuple[str, ...]
    directive: str
    noise: str


def offered(shell: Shell, line: str, user: str = "admin", environ: Mapping[str, str] = PATIENT) -> Offered:
    """What `kubectl __complete` answers for the line behind `kubectl memdoctor`; a closing space begins a new word."""
    variables = [f"{name}={value}" for name, value in environ.items()]
    command = ["env", *variables, "kubectl", "__complete", "memdoctor", *line.split(" ")]
    ran = shell.run(command, user, "default")
    assert ran.code == 0
    said, _, directive = ran.err.partition("Completion ended with directive: ")
    noise = "".join(row for row in said.splitlines() if not row.startswith("[Debug] "))
    words = [row.partition("\t")[0] for row in ran.out.splitlines()]
    assert words.pop().startswith(":")
    return Offered(tuple(words), directive.strip().removeprefix("ShellCompDirective"), noise)


def names(items: Iterable[Json]) -> tuple[str, ...]:
    return tuple(sorted({item["metadata"]["name"] for item in items}))


def test_words_of_its_own(shell: Shell) -> None:
    assert offered(shell, "") == Offered(NAMES, "NoFileComp", "")
    assert offered(shell, "pod -o ") == Offered(OUTPUTS, "NoFileComp", "")
    assert offered(shell, "logs ") == Offered((), "Default", "")
    assert offered(shell, "completion install --to=") == Offered((), "FilterDirs", "")
    assert offered(shell, "ns -- ") == Offered((), "NoFileComp", "")


def test_names_of_the_cluster(shell: Shell, plane: ControlPlane, seeded: Seeded) -> None:
    api = plane.api()
    pods = names(api.items("v1", "Pod", "default"))
    namespaces = names(api.items("v1", "Namespace"))
    in_shop = names(api.items("v1", "Pod", "shop"))
    assert pods
    assert in_shop
    expected = {
        "pod ": pods,
        "pod -A ": names(api.items("v1", "Pod")),
        "pod -n shop ": in_shop,
        "--namespace=shop pod ": in_shop,
        f"pod -n shop {in_shop[0][:4]}": tuple(name for name in in_shop if name.startswith(in_shop[0][:4])),
        f"pod {pods[0]} ": pods[1:],
        "ns ": namespaces,
        "ns shop ": tuple(name for name in namespaces if name != "shop"),
        "pod -n ": namespaces,
        "node ": names(api.items("v1", "Node")),
        "calibrate --node=": names(api.items("v1", "Node")),
        "pod -n owned deploy/": tuple(f"deploy/{name}" for name in names(api.items("apps/v1", "Deployment", "owned"))),
        "pod --context ": ("test",),
        "ns --cluster=": ("test",),
        "ns --user ": ("admin",),
    }
    assert expected["pod -n owned deploy/"]
    assert {line: offered(shell, line) for line in expected} == {
        line: Offered(found, "NoFileComp", "") for line, found in expected.items()
    }


def test_only_names_travel(shell: Shell, plane: ControlPlane, seeded: Seeded) -> None:
    before = len(plane.audited("kubectl-memdoctor"))
    assert offered(shell, "pod -n shop ").words
    asked = [event["requestURI"] for event in plane.audited("kubectl-memdoctor")[before:]]
    assert len(asked) == 1
    path, _, query = asked[0].partition("?")
    assert path == "/api/v1/namespaces/shop/pods"
    assert {"includeObject=None", "limit=500"} <= set(query.split("&"))


def test_a_long_list_comes_in_pages(shell: Shell, plane: ControlPlane, seeded: Seeded) -> None:
    source = ApiServer(connect(start(ConnectionFlags(), shell.environ("admin", "default"))), chunk_size=3)
    found = source.names(PODS, None, LONG_SECONDS)
    assert len(found) > 3
    assert sorted(found) == sorted(item["metadata"]["name"] for item in plane.api().items("v1", "Pod"))
    with pytest.raises(AccessError, match="did not send all names within 0s"):
        source.names(PODS, None, 0.0)


@pytest.mark.parametrize(
    ("line", "user"),
    [
        ("pod ", "stranger"),
        ("node ", "stranger"),
        ("pod -n nowhere ", "admin"),
        ("pod --context absent ", "admin"),
        ("pod --kubeconfig /nowhere ", "admin"),
        ("pod --server https://127.0.0.1:1 ", "admin"),
        ("pod --request-timeout soon ", "admin"),
        ("pod nosuch/", "admin"),
        ("pod a/b/", "admin"),
        ("pod -n a/b ", "admin"),
    ],
)
def test_where_there_is_no_answer_nothing_is_offered_and_nothing_said(
    shell: Shell, seeded: Seeded, line: str, user: str
) -> None:
    assert offered(shell, line, user) == Offered((), "NoFileComp", "")


def test_a_credential_plugin_does_not_write_into_the_line(shell: Shell, seeded: Seeded, tmp_path: Path) -> None:
    config = json.loads(shell.plane.kubeconfig().read_text())
    called = tmp_path / "called"
    plugin = {"command": "sh", "args": ["-c", f"touch {called}; echo log in first >&2; cat; exit 1"]}
    config["users"][0]["user"] = {
        "exec": {**plugin, "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "IfAvailable"}
    }
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    assert offered(shell, f"pod --kubeconfig {file} ") == Offered((), "NoFileComp", "")
    assert called.exists()


def test_nothing_is_waited_for_longer_than_one_wants(shell: Shell, seeded: Seeded) -> None:
    """No time at all: words of its own are offered all the same."""
    in_no_time = {"MEMDOCTOR_COMPLETION_SECONDS": "0"}
    assert offered(shell, "pod ", environ=in_no_time) == Offered((), "NoFileComp", "")
    assert offered(shell, "completion ", environ=in_no_time).words == ("install", "print")


def test_kubectl_finds_what_install_writes(shell: Shell, seeded: Seeded) -> None:
    """krew links one program only."""
    alone = shell.plane.folder / "krew" / "bin"
    alone.mkdir(parents=True)
    (alone / "kubectl-memdoctor").symlink_to((shell.bin / "kubectl-memdoctor").resolve())
    (alone / "kubectl").symlink_to(shell.plane.programs.kubectl)
    path = {"PATH": f"{alone}:/usr/bin:/bin", **PATIENT}
    assert offered(shell, "completion ", environ=path).words == ()
    variables = [f"{name}={value}" for name, value in path.items()]
    written = alone / "kubectl_complete-memdoctor"
    ran = shell.run(["env", *variables, "kubectl", "memdoctor", "completion", "install"], "admin", "default")
    assert (ran.code, ran.out, ran.err) == (0, "", f"{written} written.\n")
    assert offered(shell, "completion ", environ=path) == Offered(("install", "print"), "NoFileComp", "")
    assert offered(shell, "pod ", environ=path).words == offered(shell, "pod ").words
    written.unlink()
