"""Which pods are meant, and what is said when there is nothing to look at."""

from __future__ import annotations

import pytest

from .memdoctor import Shell
from .seeded import DOCKER_NODE, INCIDENT, Seeded


def names(shell: Shell, *arguments: str) -> set[str]:
    return set(shell.memdoctor(*arguments, "-o", "json").findings())


def test_labels(shell: Shell, seeded: Seeded) -> None:
    assert names(shell, "ns", "-A", "-l", "app=busybox-deploy") == {f"default/{INCIDENT}", f"ample/{INCIDENT}"}
    assert names(shell, "ns", "-n", "shop", "-l", "app in (cache,web)") == {"shop/cache-6c5b8f7d4c-x2x7k"}
    assert names(shell, "pod", "-n", "owned", "-l", "app=stateful") == {"owned/statefulset-pod"}
    assert names(shell, "ns", "owned", "-l", "app,app notin (deployed,replicated,controlled,stateful,daemon)") == {
        "owned/job-pod",
        "owned/cronjob-pod",
    }


def test_fields(shell: Shell, seeded: Seeded) -> None:
    on_node = names(shell, "ns", "-A", "--field-selector", f"spec.nodeName={DOCKER_NODE}")
    assert on_node == {f"default/{INCIDENT}", f"ample/{INCIDENT}"}
    assert names(shell, "ns", "owned", "--field-selector=metadata.name!=bare") >= {"owned/job-pod"}
    assert "owned/bare" not in names(shell, "ns", "owned", "--field-selector=metadata.name!=bare")


def test_several_namespaces(shell: Shell, seeded: Seeded) -> None:
    found = names(shell, "ns", "default", "shop")
    assert {name.split("/")[0] for name in found} == {"default", "shop"}


def test_a_namespace_without_pods_is_calm(shell: Shell, seeded: Seeded) -> None:
    ran = shell.memdoctor("ns", "kube-public")
    assert (ran.code, ran.out) == (0, "")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("ns", "nowhere"), 'Error from server (NotFound): namespaces "nowhere" not found'),
        (("ns", "-n", "nowhere"), 'Error from server (NotFound): namespaces "nowhere" not found'),
        (("pod", "absent"), 'Error from server (NotFound): pods "absent" not found'),
        (("pod", "deploy/absent"), 'Error from server (NotFound): deployments.apps "absent" not found'),
        (("ns", "-l", "a=("), "Error from server (BadRequest): "),
        (("ns", "--field-selector", "spec.colour=red"), "Error from server (BadRequest): "),
        (("ns", "--token", "wrong"), "error: You must be logged in to the server (Unauthorized)"),
        (("ns", "--context", "wrong"), "Error in configuration: context was not found for specified context: wrong"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_nothing_to_look_at_is_one_line(shell: Shell, seeded: Seeded, arguments: tuple[str, ...], line: str) -> None:
    ran = shell.memdoctor(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(line)
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("absent",),
        ("-l", "a=("),
        ("--field-selector", "spec.colour=red"),
        ("--token", "wrong"),
        ("--context", "wrong"),
        ("--server", "https://127.0.0.1:1"),
    ],
    ids=" ".join,
)
def test_errors_are_kubectls_own(shell: Shell, seeded: Seeded, arguments: tuple[str, ...]) -> None:
    kubectl = shell.run(["kubectl", "get", "pods", *arguments], "admin", "default")
    assert kubectl.code == 1
    ran = shell.memdoctor("ns" if arguments[0].startswith("-") else "pod", *arguments)
    assert ran.err.splitlines() == kubectl.err.splitlines()[-1:]
