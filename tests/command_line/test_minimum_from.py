"""What was measured on the cluster's own nodes, through the whole program: a file's, and the cluster's own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.diagnosis import diagnose_namespaces, diagnose_pods
from kubectl_memdoctor.finding import AnyReport, Confidence
from kubectl_memdoctor.measured_minimum import Measurement, Pool, Try, encode, failed_bytes, ready_bytes
from kubectl_memdoctor.selection import Selection

from .memory_source import MemorySource

MIB = 1 << 20
EVERYTHING = Selection()
WEB = Selection(namespaces=("shop",), names=("web-1",))
FORBIDDEN = "forbidden: no (looked without it)"


def node() -> dict[str, Any]:
    info = {"containerRuntimeVersion": "containerd://2.2.0", "kernelVersion": "6.1", "architecture": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "worker-1"},
        "status": {"capacity": {"cpu": "2"}, "nodeInfo": info},
    }


def pod(limit: str, *, name: str = "web-1", running: bool = False) -> dict[str, Any]:
    """One that waits for its sandbox for an hour, or runs."""
    state = {"running": {"startedAt": "2026-11-23T09:00:01Z"}} if running else {"waiting": {"reason": "Creating"}}
    ready = "True" if running else "False"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "uid": name, "creationTimestamp": "2026-11-23T09:00:00Z"},
        "spec": {
            "nodeName": "worker-1",
            "containers": [{"name": "app", "resources": {"limits": {"memory": limit}}}],
        },
        "status": {
            "phase": "Running" if running else "Pending",
            "qosClass": "Guaranteed",
            "conditions": [{"type": "PodReadyToStartContainers", "status": ready}],
            "containerStatuses": [{"name": "app", "ready": running, "state": state}],
        },
    }


def measured(*tries: tuple[int, int, int], kernel: str = "6.1") -> Measurement:
    """`tries` are limits in MiB with how many pods became ready and how many did not."""
    every = tuple(Try(limit_bytes=limit * MIB, ready=ready, failed=failed) for limit, ready, failed in tries)
    enough = ready_bytes(every)
    assert enough is not None
    return Measurement(
        node="worker-7",
        pool=Pool(container_runtime_version="containerd://2.2.0", kernel_version=kernel, architecture="amd64", cpus=2),
        failed_bytes=failed_bytes(every),
        ready_bytes=enough,
        tries=every,
        image="registry.k8s.io/pause:3.10",
        taken_at=datetime(2026, 11, 24, tzinfo=UTC),
    )


def config_map(*measurements: Measurement, **data: str) -> dict[str, Any]:
    metadata = {"namespace": "kube-public", "name": "memdoctor-sandbox-minimum"}
    text = data or {"minimum.yaml": encode(measurements)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": text}


def sandbox_changed() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "shop", "name": "web-1.1", "uid": "event-1"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "web-1"},
        "type": "Normal",
        "reason": "SandboxChanged",
        "message": "Pod sandbox changed, it will be killed and re-created.",
        "count": 12,
        "lastTimestamp": "2026-11-23T09:59:00Z",
    }


SMALL = measured((3, 0, 4), (4, 4, 0))
LARGE = measured((200, 0, 4), (300, 4, 0))


def looked_at(*items: dict[str, Any], selection: Selection = EVERYTHING, **given: Any) -> AnyReport:
    forbidden = given.pop("forbidden", ())
    source = MemorySource(items, forbidden)
    if selection.names:
        return diagnose_pods(source, selection, **given).report
    return diagnose_namespaces(source, selection, **given).report


def rows(report: AnyReport) -> list[tuple[str, str, int | None]]:
    return [
        (entry.rule, str(entry.confidence), entry.memory.minimum_bytes if entry.memory else None)
        for entry in report.findings
    ]


both_commands = pytest.mark.parametrize("selection", [EVERYTHING, WEB], ids=["ns", "pod"])


class TestSaved:
    @both_commands
    def test_what_is_saved_decides(self, selection: Selection) -> None:
        without = looked_at(pod("3500Ki"), node(), selection=selection)
        found = looked_at(pod("3500Ki"), node(), config_map(SMALL), selection=selection)
        assert rows(without)[0][2] != 4 * MIB
        assert rows(found) == [("sandbox-memory-limit-too-small", "possible", 4 * MIB)]
        assert found.not_checked == without.not_checked == ()
        told = [entry.value for entry in found.findings[0].evidence if entry.object == "node/worker-7"]
        assert told == ["measured on your nodes: fails with 3Mi, runs with 4Mi (8 tries, 2 CPUs, 2026-11-24)"]
        assert any(sentence.endswith("measured on your nodes.") for sentence in found.findings[0].details)

    @pytest.mark.parametrize("limit", ["2Mi", "3Mi"])
    @both_commands
    def test_with_what_always_failed_it_is_likely(self, selection: Selection, limit: str) -> None:
        found = looked_at(pod(limit), node(), config_map(SMALL), selection=selection)
        assert rows(found) == [("sandbox-memory-limit-too-small", "likely", 4 * MIB)]

    def test_another_kernels_figures_do_not(self) -> None:
        other = config_map(measured((3, 0, 4), (4, 4, 0), kernel="6.2"))
        assert looked_at(pod("3500Ki"), node(), other) == looked_at(pod("3500Ki"), node())

    @both_commands
    def test_what_runs_with_less_than_was_measured_is_found(self, selection: Selection) -> None:
        """Though its limit is above all that the table knows."""
        old = pod("250Mi", running=True) | {"metadata": {**pod("1")["metadata"], "generation": 2}}
        assert looked_at(old, node(), selection=selection).findings == ()
        found = looked_at(old, node(), config_map(LARGE), selection=selection)
        assert rows(found) == [("pod-memory-limit-below-sandbox-minimum", "possible", 300 * MIB)]
        assert found.summary.pods == 1

    @both_commands
    def test_without_the_right_an_unsure_finding_says_so(self, selection: Selection) -> None:
        found = looked_at(pod("3500Ki"), node(), selection=selection, forbidden=["configmaps"])
        assert rows(found)[0][1] == "possible"
        (told,) = found.not_checked
        assert (told.rule, told.resource, told.reason) == (found.findings[0].rule, "configmaps", FORBIDDEN)

    @pytest.mark.parametrize("some", [pod("300m"), pod("64Mi", running=True)], ids=["certain", "healthy"])
    @both_commands
    def test_without_the_right_nothing_else_says_so(self, selection: Selection, some: dict[str, Any]) -> None:
        found = looked_at(some, node(), selection=selection, forbidden=["configmaps"])
        assert {entry.confidence for entry in found.findings} <= {Confidence.CONFIRMED}
        assert found.not_checked == ()

    @both_commands
    def test_who_gives_figures_is_not_told(self, selection: Selection) -> None:
        for given in ({"minimum_bytes": 4 * MIB}, {"measured": (SMALL,)}, {"measured": ()}):
            found = looked_at(pod("3500Ki"), node(), selection=selection, forbidden=["configmaps"], **given)
            assert found.findings
            assert found.not_checked == ()

    @pytest.mark.parametrize("selection", [EVERYTHING, WEB], ids=["ns", "pod"])
    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            (config_map(other="x"), "has no key minimum.yaml"),
            (config_map(**{"minimum.yaml": "a: b: c"}), "minimum.yaml: line 1: not valid YAML: mapping values"),
            (config_map(**{"minimum.yaml": ""}), "minimum.yaml: is something without a kind"),
        ],
    )
    def test_what_is_broken_costs_one_line(self, selection: Selection, broken: dict[str, Any], said: str) -> None:
        found = looked_at(pod("300m"), node(), broken, selection=selection)
        assert rows(found) == rows(looked_at(pod("300m"), node(), selection=selection))
        (told,) = found.not_checked
        assert (told.rule, told.resource) == (None, "configmaps")
        where = "failed: ConfigMap kube-public/memdoctor-sandbox-minimum: "
        assert told.reason.startswith(where + said)

    @both_commands
    def test_the_cluster_is_asked_once(self, selection: Selection) -> None:
        source = MemorySource([pod("3500Ki"), node()])
        diagnose_pods(source, selection) if selection.names else diagnose_namespaces(source, selection)
        named = [entry for entry in source.asked if entry[1] == "configmaps"]
        assert named == [("get", "configmaps", "kube-public", "memdoctor-sandbox-minimum")]


Run = Callable[..., tuple[int, Any, list[str]]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`ns` over a recording of these items: exit code, confidences and minimums, lines of stderr."""

    def run(items: list[dict[str, Any]], *arguments: str, stdin: bytes = b"") -> tuple[int, Any, list[str]]:
        recording = tmp_path / "recording.json"
        recording.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        code = main(["ns", "-f", str(recording), "-o", "json", *arguments])
        out, err = capsys.readouterr()
        report = json.loads(out) if out else None
        found = report and [(entry["confidence"], entry["memory"]["minimumBytes"]) for entry in report["findings"]]
        return code, found, err.splitlines()

    return run


class TestFile:
    ITEMS = (pod("3500Ki"), node(), sandbox_changed())

    def file(self, tmp_path: Path, text: str | bytes) -> str:
        path = tmp_path / "minimum.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def test_its_figures_decide(self, run: Run, tmp_path: Path) -> None:
        path = self.file(tmp_path, encode([SMALL]))
        assert run([*self.ITEMS], "--minimum-from", path) == (1, [("possible", 4 * MIB)], [])

    def test_they_count_instead_of_what_is_saved(self, run: Run, tmp_path: Path) -> None:
        path = self.file(tmp_path, encode([SMALL]))
        assert run([*self.ITEMS, config_map(LARGE)], "--minimum-from", path)[1] == [("possible", 4 * MIB)]
        assert run([*self.ITEMS, config_map(LARGE)])[1] == [("likely", 300 * MIB)]

    def test_the_users_own_figure_counts_more(self, run: Run, tmp_path: Path) -> None:
        path = self.file(tmp_path, encode([SMALL]))
        assert run([*self.ITEMS], "--minimum-from", path, "--minimum", "8Mi")[1] == [("likely", 8 * MIB)]

    def test_from_standard_input(self, run: Run) -> None:
        found = run([*self.ITEMS], "--minimum-from", "-", stdin=encode([SMALL]).encode())
        assert found == (1, [("possible", 4 * MIB)], [])

    def test_standard_input_is_read_once(self, run: Run) -> None:
        code, found, err = run([*self.ITEMS], "-f", "-", "--minimum-from", "-")
        assert (code, found) == (2, None)
        assert err[0] == "error: standard input cannot be both: -f - and --minimum-from -"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (b"", "{path}: is something without a kind, not a SandboxMinimumList of memdoctor.dev/v1"),
            (b'{"kind": "Pod"}', "{path}: is a Pod of no apiVersion, not a SandboxMinimumList of memdoctor.dev/v1"),
            (b"\xff\xff", "{path}: not valid YAML: "),
            (b" " * (2 * MIB), "{path}: is larger than 1Mi: not a SandboxMinimumList"),
            (encode([SMALL]).replace("ready: 4", "ready: -4").encode(), "{path}: items[0].tries[1].ready: expected"),
        ],
    )
    def test_a_file_that_is_wrong_is_one_line(self, run: Run, tmp_path: Path, text: bytes, said: str) -> None:
        path = self.file(tmp_path, text)
        code, found, err = run([*self.ITEMS], "--minimum-from", path)
        assert (code, found) == (2, None)
        (line,) = err
        assert line.startswith("error: " + said.format(path=path))

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("no-such.yaml", 'error: the path "no-such.yaml" does not exist'),
            (".", 'error: the path "." cannot be read: Is a directory'),
            ("a\0b", 'error: the path "a\\x00b" cannot be read: embedded null byte'),
        ],
    )
    def test_a_path_that_cannot_be_read_is_one_line(self, run: Run, path: str, said: str) -> None:
        assert run([*self.ITEMS], "--minimum-from", path) == (2, None, [said])

    def test_wrong_input_on_standard_input_is_named(self, run: Run) -> None:
        (line,) = run([*self.ITEMS], "--minimum-from", "-", stdin=b"kind: x")[2]
        assert line.startswith("error: standard input: is a x of no apiVersion")

    def test_pod_takes_it_too(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        recording = tmp_path / "recording.json"
        recording.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [*self.ITEMS]}))
        path = self.file(tmp_path, encode([SMALL]))
        assert main(["pod", "web-1", "-n", "shop", "-f", str(recording), "--minimum-from", path]) == 1
        page = capsys.readouterr().out
        assert "needs between 3Mi and 4Mi to start a sandbox, measured on your nodes." in " ".join(page.split())
