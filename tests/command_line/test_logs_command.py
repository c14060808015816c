"""`logs` through the whole program: what it takes, where it reads from, its exit codes."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubectl_memdoctor.cli import main

CASES = Path(__file__).parents[1] / "cases_logs"
LOOP = CASES / "sandbox-loop-docker"
DMESG = LOOP / "logs" / "dmesg.txt"
UID = "3f0c81d2-85c3-11e9-8a41-000c29f4d7ab"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["logs", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def stdin_of(data: bytes) -> SimpleNamespace:
    return SimpleNamespace(buffer=io.BytesIO(data))


WRONG = {
    ("logs",): "you must give a log, a folder of logs, or - for standard input",
    ("logs", "-", "-f", "-"): "standard input cannot be both: -f - and a log",
    ("logs", "a", "-n", "shop"): "unknown flag: --namespace (for kubectl memdoctor logs)",
    ("logs", "a", "--context", "b"): "unknown flag: --context (for kubectl memdoctor logs)",
}


@pytest.mark.parametrize(("arguments", "complaint"), WRONG.items(), ids=" ".join)
def test_wrong_usage(arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_a_kernel_log_alone_names_the_pod_by_its_uid(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, DMESG)
    assert code == 1
    assert out.startswith(f"critical: pod/{UID} cannot start: its memory limit is too small")
    assert out.splitlines()[-1] == f"    kubectl memdoctor ns --all --node-log {DMESG}"
    assert err == "1 finding (1 critical) in 1 log.\n"


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(packed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data = DMESG.read_bytes()
    monkeypatch.setattr("sys.stdin", stdin_of(gzip.compress(data) if packed else data))
    code, out, _ = run(capsys, "-")
    assert code == 1
    assert f"pod/{UID} cannot start" in out
    assert "standard input: dmesg -T of kernel" in out
    assert "--node-log" not in out


def test_a_folder_with_all_that_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(capsys, LOOP)
    assert out.startswith("critical: shop/cart-6f7d9c5b8d-k4x2p cannot start")
    assert "passed over: " in out
    assert "  FILES\n" in out
    assert "in 4 logs" in err or "in 5 logs" in err


def test_every_form_of_output(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(run(capsys, DMESG, "-o", "json")[1])
    (finding,) = report["findings"]
    assert finding["involvedObject"] == {"kind": "Pod", "name": UID, "uid": UID}
    assert finding["memory"]["limitBytes"] == 0
    assert run(capsys, DMESG, "-o", "name")[1] == f"pod/{UID}\n"
    assert run(capsys, DMESG, "-o", "table")[1].splitlines()[1].startswith(f"<none>     pod/{UID}")
    assert run(capsys, DMESG, "-o", "table")[2].splitlines() == [
        "1 finding (1 critical) in 1 log.",
        "For proof and fix: -o page",
    ]
    assert run(capsys, DMESG, "-o", "yaml")[1].startswith("apiVersion: memdoctor.dev/v1")


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "kern.log.gz"
    broken.write_bytes(gzip.compress(DMESG.read_bytes())[:2000])
    assert run(capsys, DMESG, "--fail-on", "never")[0] == 0
    assert run(capsys, CASES / "nothing-killed" / "logs")[0] == 0
    assert run(capsys, CASES / "nothing-killed" / "logs", broken, "--fail-on", "never")[0] == 0
    assert run(capsys, CASES / "nothing-killed" / "logs", broken, "--fail-on", "never", "--strict")[0] == 2


def test_what_cannot_be_read_is_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(bytes(range(256)) * 8)
    code, out, err = run(capsys, tmp_path / "none.txt", picture)
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"error: {tmp_path / 'none.txt'}: No such file or directory",
        f"error: {picture}: is not a text file",
    ]


def test_what_cannot_be_read_does_not_stop_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, tmp_path / "none.txt", DMESG)
    assert code == 1
    assert f"    node log: {tmp_path / 'none.txt'}: No such file or directory\n" in out
    assert "not checked" not in err


def test_the_users_own_minimum_holds(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, DMESG, "--minimum", "20Mi")
    assert "A sandbox needs 20Mi by your own figure (--minimum)." in out


def test_no_cluster_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("a cluster was looked for")

    monkeypatch.setattr("kubectl_memdoctor.cluster.kubeconfig.start", never)
    assert run(capsys, DMESG)[0] == 1
    assert run(capsys, DMESG, "-f", LOOP / "recording.yaml")[0] == 1
