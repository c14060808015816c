"""What cannot be read, or not as a whole, is one clear line that names the file and says what to do."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.cluster.recording import open_recording
from kubectl_memdoctor.cluster.source import AccessError
from kubectl_memdoctor.objects import PODS

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": "1"}}
PODS_JSON = json.dumps({"apiVersion": "v1", "kind": "List", "items": [POD] * 3}, indent=4).encode()
ITEMS_OF_NO_LIST = "has items, and its kind, further down, is not that of a list: save it again"
NEWLINE = b"\n"
PODS_YAML = b"apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: shop\n"
SAVE = 'save what "kubectl get pods,events,nodes,replicasets,deployments,limitranges -A -o json" prints'


def refusal(*paths: Path | str) -> str:
    with pytest.raises(AccessError) as raised:
        for _ in open_recording([str(path) for path in paths], None).list(PODS):
            pass
    assert "\n" not in str(raised.value)
    return str(raised.value)


def tar_of(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zip_of(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty: save it again"),
    "only white space": (b" \n\n", "is empty: save it again"),
    "cut off": (PODS_JSON[:-30], f"ends too early, in line {PODS_JSON.count(NEWLINE) - 2}: save it again"),
    "cut off in a key": (PODS_JSON[:30], "ends too early, in line 3: save it again"),
    "items of no list": (b'{"items": [], "kind": "Pod"}', ITEMS_OF_NO_LIST),
    "items of no list, YAML": (b"items: []\nkind: Pod\n", ITEMS_OF_NO_LIST),
    "a brace": (b"{", "ends too early, in line 1: save it again"),
    "broken": (PODS_JSON.replace(b'"name"', b"name", 2), "line 5: what begins here is not valid JSON: save it again"),
    "followed by something": (
        PODS_JSON + b"\n$ ",
        f"line {PODS_JSON.count(NEWLINE) + 2}: what begins here is not valid JSON: save it again",
    ),
    "not UTF-8": (
        PODS_JSON.replace(b'"web"', b'"w\xe9b"'),
        "line 5: what begins here is not valid UTF-8: save it again",
    ),
    "a number": (b"[1, 2]", "neither a Kubernetes object nor a list of them: " + SAVE),
    "other JSON": (b'{"colour": "blue"}', "neither a Kubernetes object nor a list of them: " + SAVE),
    "a list of something": (
        b'{"items": [{"name": "web"}]}',
        "neither a Kubernetes object nor a list of them: " + SAVE,
    ),
    "an empty list": (
        b'{"kind": "List", "items": []}',
        "a list of nothing, which does not tell what was asked for: " + SAVE,
    ),
    "no pods": (b'{"kind": "ConfigMap", "apiVersion": "v1"}', "no pods in it: " + SAVE),
    "a refusal": (
        b'{"kind": "Status", "apiVersion": "v1", "code": 403, "message": "pods is forbidden:\\n\\u001b[2J no"}',
        'the API server\'s refusal was saved instead of objects: "pods is forbidden: \\x1b[2J no"',
    ),
    "HTML": (
        b"\n<!DOCTYPE html><html>kind: Pod</html>",
        "is HTML or XML, not JSON or YAML: perhaps a proxy's or login page was saved instead",
    ),
    "binary": (b"\x7fELF\0\0\0kind: Pod", "is a binary file, not JSON or YAML"),
    "zip": (zip_of("pods.json", PODS_JSON), "is a zip archive: unpack it and give the folder"),
    "tar": (tar_of("pods.json", PODS_JSON), "is a tar archive: unpack it and give the folder"),
    "tar.gz": (gzip.compress(tar_of("a", PODS_JSON)), "is a tar archive: unpack it and give the folder"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24", "is compressed with zstd: unpack it first"),
    "cut off gzip": (
        gzip.compress(os.urandom(50_000).hex().encode())[:-900],
        "the gzip data ends too early: save or copy it again",
    ),
    "broken gzip": (
        gzip.compress(PODS_JSON)[:10] + b"\xff" * 40,
        "the gzip data is broken: save or copy it again",
    ),
    "wrong checksum": (
        gzip.compress(PODS_JSON)[:-8] + b"12345678",
        "the gzip data is broken: save or copy it again",
    ),
    "empty gzip": (gzip.compress(b""), "is empty: save it again"),
    "UTF-16 cut off": (PODS_JSON.decode().encode("utf-16")[:-1], "is not valid UTF-16: save it again"),
    "a table": (b"NAME   READY   STATUS\nweb    1/1     Running\n", "neither a Kubernetes object nor"),
    "YAML values": (b"replicas: 3\n", "neither a Kubernetes object nor a list of them: " + SAVE),
    "YAML words": (b"what kind of file is this\n", "line 1: neither a Kubernetes object nor a list of them: " + SAVE),
    "broken YAML": (PODS_YAML + b"spec: {\n", "line 7: not valid YAML (did not find expected node content"),
    "tabs in YAML": (PODS_YAML + b"\tspec: {}\n", "line 6: not valid YAML ("),
    "YAML that is not UTF-8": (PODS_YAML + b"spec: \xff\xfe\n", "not valid YAML ("),
    "control characters in YAML": (PODS_YAML + b"spec: \x01\n", "not valid YAML ("),
    "unknown alias": (PODS_YAML + b"spec: *this\n", "line 6: not valid YAML: nothing is named &this before"),
    "an alias of itself": (PODS_YAML + b"spec: &a [*a]\n", "line 6: not valid YAML: nothing is named &a before"),
    "deep JSON": (b'{"kind": "Pod", "spec": ' + b"[" * 100_000, "line 1: what begins here is not valid JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file(name: str, tmp_path: Path) -> None:
    content, says = BROKEN[name]
    path = tmp_path / "dump"
    path.write_bytes(content)
    assert refusal(path).startswith(f"error: {path}: {says}")


@pytest.mark.parametrize("name", sorted(BROKEN.keys() - {"no pods", "cut off gzip"}))
def test_a_broken_file_is_broken_on_standard_input_too(name: str) -> None:
    content, says = BROKEN[name]
    with pytest.raises(AccessError) as raised:
        list(open_recording(["-"], io.BytesIO(content)).list(PODS))
    assert str(raised.value).startswith(f"error: standard input: {says}")


def test_deep_yaml(tmp_path: Path) -> None:
    """libyaml has a bound of its own since 0.2.6: https://github.com/yaml/libyaml/releases"""
    path = tmp_path / "deep.yaml"
    path.write_bytes(PODS_YAML + b"spec: " + b"[" * 100_000)
    assert refusal(path) in (
        f"error: {path}: line 6: not valid YAML (exceeded maximum nesting depth): save it again",
        f"error: {path}: nested too deeply: not a recording",
    )


def test_aliases_that_would_grow_beyond_all_bounds(tmp_path: Path) -> None:
    lines = ["kind: Pod", "a0: &a0 [lol, lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines))
    assert refusal(path) == f"error: {path}: line 9: excessive aliasing: not a recording"


@pytest.mark.parametrize("first", [b"kind: Pod\nspec: ", b'{"kind": "Pod", "spec": "', b"[" + PODS_JSON + b', "'])
def test_a_huge_line(first: bytes, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    with path.open("wb") as file:
        file.write(first)
        file.seek(36 << 20)
        file.write(b"x")
    content = path.read_bytes().replace(b"\0", b"x")
    path.write_bytes(content)
    assert "more than 32 MiB" in refusal(path)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    assert refusal(tmp_path / "dump.json") == f'error: the path "{tmp_path}/dump.json" does not exist'
    assert refusal("") == 'error: the path "" does not exist'
    assert refusal(tmp_path) == f"error: {tmp_path}: no .json, .yaml, .yml or .gz file in this folder"
    assert refusal("https://x/dump.json") == (
        "error: https://x/dump.json: an address is not read: save it to a file first"
    )
    assert refusal("-") == "error: there is no standard input to read"
    assert refusal("nul\0l") == 'error: the path "nul\\x00l" does not exist'
    assert refusal("\x1b[2J") == 'error: the path "\\x1b[2J" does not exist'


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_cannot_be_read() -> None:
    assert refusal("/proc/self/mem") == "error: /proc/self/mem: cannot be read: Input/output error"


@contextlib.contextmanager
def without_rights_of_root() -> Iterator[None]:
    """Root may read everything; another user may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_file_that_may_not_be_read() -> None:
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "pods.json"
        path.write_bytes(PODS_JSON)
        path.chmod(0)
        with without_rights_of_root():
            assert refusal(path) == f"error: {path}: cannot be read: Permission denied"
            assert refusal(folder) == f"error: {path}: cannot be read: Permission denied"


@pytest.mark.parametrize("content", [b"", PODS_JSON[:-30], b'{"kind": "Status", "message": "no"}', b"kind: {"])
def test_a_broken_file_in_a_folder_is_not_passed_over(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(PODS_JSON)
    (tmp_path / "b.json").write_bytes(content)
    assert refusal(tmp_path).startswith(f"error: {tmp_path}/b.json: ")


def test_a_folder_without_any_kubernetes_object(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 3\n")
    (tmp_path / "settings.json").write_text('{"items": [{"colour": "blue"}]}')
    assert refusal(tmp_path) == f"error: {tmp_path}: no pods in it: {SAVE}"


def test_a_broken_document_among_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "dump.yaml"
    path.write_bytes(PODS_YAML + b"---\n" + PODS_YAML + b" wrong: indentation\n---\n" + PODS_YAML)
    assert refusal(path).startswith(f"error: {path}: line 12: not valid YAML")


def test_a_recording_that_vanishes(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_bytes(PODS_JSON)
    recording = open_recording([str(path)], None)
    assert [pod.metadata.name for page in recording.list(PODS) for pod in page.items] == ["web"]
    path.unlink()
    with pytest.raises(AccessError, match=f"^error: {path}: cannot be read: No such file or directory$"):
        list(recording.list(PODS))


def test_no_room_for_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
        def write(self, *given: Any) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    path = tmp_path / "dump.json.gz"
    path.write_bytes(gzip.compress(PODS_JSON))
    assert refusal(path) == (
        f"error: {tempfile.gettempdir()}: no room for a copy of the recording: No space left on device"
    )


@pytest.mark.parametrize(
    "command", [["ns", "--all"], ["ns", "shop"], ["pod", "web", "-n", "shop"], ["pod", "-l", "a=b"]]
)
@pytest.mark.parametrize("name", ["empty", "cut off", "HTML", "broken YAML", "a refusal"])
def test_the_program_says_so_in_one_line(
    command: list[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dump"
    path.write_bytes(BROKEN[name][0])
    assert main([*command, "-f", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {path}: {BROKEN[name][1]}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: text.replace(b"}", b"", 1)])
def test_nothing_is_printed_of_half_a_recording(
    damage: Callable[[bytes], bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pods = [{**POD, "metadata": {"name": f"web-{number}", "namespace": "shop"}} for number in range(5000)]
    path = tmp_path / "dump.json"
    path.write_bytes(damage(json.dumps({"kind": "List", "items": pods}).encode()))
    assert main(["ns", "--all", "-f", str(path), "-o", "json"]) == 2
    assert capsys.readouterr().out == ""
