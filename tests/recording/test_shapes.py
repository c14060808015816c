"""However the same objects are saved, the report is the same."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kubectl_memdoctor.cluster.recording import Recording, open_recording
from kubectl_memdoctor.cluster.recording.json_items import LOG_ENDS, LOG_STARTS
from kubectl_memdoctor.diagnosis import NO_USAGE_LOOK, UsageLook, diagnose_namespaces
from kubectl_memdoctor.finding import Report
from kubectl_memdoctor.selection import Selection

CASES = Path(__file__).parent.parent / "cases"
CASE_PATHS = list({path.parent: path for path in sorted(CASES.glob("*/fires-*.yaml"))}.values())
Objects = list[dict[str, Any]]
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def dump(value: Any, flow: bool = False) -> str:
    return dump_all([value], flow)


def dump_all(values: Iterable[Any], flow: bool = False) -> str:
    text: str = yaml.dump_all(values, Dumper=DUMPER, default_flow_style=flow)
    return text


def look_of(path: Path) -> UsageLook:
    """What the case is about, where a report says nothing of it by itself."""
    return UsageLook(near_limit=0.85) if path.parent.name == "container-memory-near-limit" else NO_USAGE_LOOK


def report(recording: Recording, look: UsageLook = NO_USAGE_LOOK) -> Any:
    """As plain data, but for the recording's name."""
    found = msgspec.to_builtins(diagnose_namespaces(recording, Selection(), usage_look=look).report)
    assert found["cluster"].pop("recording")
    return found


@cache
def expected(path: Path) -> Any:
    found = report(open_recording([str(path)], None), look_of(path))
    assert found["findings"]
    return found


@cache
def saved_objects(path: Path) -> Objects:
    """The case's objects as JSON has them: times are text."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":timestamp")]
        for first, known in loader.yaml_implicit_resolvers.items()
    }
    timeless = type("Timeless", (loader,), {"yaml_implicit_resolvers": resolvers})
    documents = [document for document in yaml.load_all(path.read_text(), timeless) if document]
    return [entry for document in documents for entry in document.get("items", [document])]


def a_list(objects: Objects, kind: str = "List", api_version: str = "v1") -> dict[str, Any]:
    return {"apiVersion": api_version, "items": objects, "kind": kind, "metadata": {"resourceVersion": ""}}


def by_kind(objects: Objects) -> dict[tuple[str, str], Objects]:
    kinds: dict[tuple[str, str], Objects] = {}
    for entry in objects:
        kinds.setdefault((entry["kind"], entry["apiVersion"]), []).append(entry)
    return kinds


def raw_lists(objects: Objects) -> Iterable[dict[str, Any]]:
    """As the API answers, and as cluster-info dump saves: the items' kind stands with the list only."""
    for (kind, api_version), entries in by_kind(objects).items():
        bare = [{key: value for key, value in entry.items() if key not in ("kind", "apiVersion")} for entry in entries]
        yield {"kind": f"{kind}List", "apiVersion": api_version, "metadata": {}, "items": bare}


def as_pretty_json(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.json", json.dumps(a_list(objects), indent=4) + "\n")


def as_compact_json(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.json", json.dumps(a_list(objects), separators=(",", ":")))


def as_json_with_the_kind_last(objects: Objects, folder: Path) -> str:
    reordered = [dict(reversed(entry.items())) for entry in objects]
    return write(folder / "dump.json", json.dumps({"items": reordered, "kind": "List"}))


def as_json_documents(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.json", "\n".join(map(json.dumps, objects)))


def as_json_array(objects: Objects, folder: Path) -> str:
    return write(folder / "dump", json.dumps(objects))


def as_raw_lists(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.json", "".join(map(json.dumps, raw_lists(objects))))


def as_raw_lists_in_sorted_order(objects: Objects, folder: Path) -> str:
    """`jq -S`: the kind comes after the items that lack it."""
    return write(folder / "dump.json", "\n".join(json.dumps(entry, sort_keys=True) for entry in raw_lists(objects)))


def as_lists_in_a_list(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.json", json.dumps(a_list([a_list(objects[:1]), *raw_lists(objects[1:])])))


def as_yaml_list(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.yaml", dump(a_list(objects)))


def as_yaml_documents(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.yaml", "# saved by hand\n---\n" + dump_all([None, *objects]))


def as_raw_yaml_lists(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.yml", dump_all(raw_lists(objects)))


def as_flow_yaml(objects: Objects, folder: Path) -> str:
    return write(folder / "dump.yaml", dump(a_list(objects), flow=True))


def as_gzip(objects: Objects, folder: Path) -> str:
    path = folder / "dump"
    path.write_bytes(gzip.compress(Path(as_pretty_json(objects, folder)).read_bytes()))
    return str(path)


def as_gzip_members(objects: Objects, folder: Path) -> str:
    """`cat a.gz b.gz`, and the zeros that tapes leave."""
    path = folder / "dump.yaml.gz"
    text = dump(a_list(objects)).encode()
    path.write_bytes(gzip.compress(text[:100]) + gzip.compress(text[100:]) + b"\0" * 20)
    return str(path)


def as_powershell_saves_it(objects: Objects, folder: Path) -> str:
    path = folder / "dump.json"
    path.write_bytes(json.dumps(a_list(objects), indent=4).replace("\n", "\r\n").encode("utf-16"))
    return str(path)


def as_big_endian_utf16(objects: Objects, folder: Path) -> str:
    path = folder / "dump.yaml"
    path.write_bytes(("\ufeff" + dump(a_list(objects))).encode("utf-16-be"))
    return str(path)


def with_a_byte_order_mark(objects: Objects, folder: Path) -> str:
    path = folder / "dump.json"
    path.write_bytes(json.dumps(a_list(objects)).encode("utf-8-sig"))
    return str(path)


def as_folder_of_objects(objects: Objects, folder: Path) -> str:
    for number, entry in enumerate(objects):
        inner = folder / f"{number // 2:03}"
        inner.mkdir(exist_ok=True)
        write(inner / f"{number:03}.{'json' if number % 2 else 'yaml'}", json.dumps(entry, indent=1))
    write(folder / "notes.txt", "not a recording: {")
    write(folder / "000" / "values.yaml", "replicas: 3\n")
    write(folder / "000" / "settings.json", '{"colour": "blue", "items": [{"name": 1}, 2]}')
    return str(folder)


def as_folder_with_doubles(objects: Objects, folder: Path) -> str:
    as_folder_of_objects(objects, folder)
    as_pretty_json(objects, folder)
    as_gzip(objects, folder)
    return str(folder)


def as_cluster_info_dump(objects: Objects, folder: Path) -> str:
    """https://github.com/kubernetes/kubectl/blob/v0.37.0/pkg/cmd/clusterinfo/clusterinfo_dump.go"""
    for entry in raw_lists(objects):
        by_namespace: dict[str, Objects] = {}
        for item in entry["items"]:
            by_namespace.setdefault(item["metadata"].get("namespace", ""), []).append(item)
        for namespace, items in by_namespace.items():
            (folder / namespace / "web-0").mkdir(parents=True, exist_ok=True)
            (folder / namespace / "web-0" / "logs.txt").write_text("{ a line of a log\n")
            name = entry["kind"].removesuffix("List").lower() + "s.json"
            write(folder / namespace / name, json.dumps({**entry, "items": items}, indent=4))
    return str(folder)


def as_cluster_info_dump_to_standard_output(objects: Objects, folder: Path) -> str:
    log = (LOG_STARTS + b'container app of pod shop/web ====\n{"log": "line"\n' + LOG_ENDS + b"app ====\n").decode()
    return write(folder / "dump.txt", log.join(json.dumps(entry, indent=4) + "\n" for entry in raw_lists(objects)))


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


SHAPES: list[Callable[[Objects, Path], str]] = [
    as_pretty_json,
    as_compact_json,
    as_json_with_the_kind_last,
    as_json_documents,
    as_json_array,
    as_raw_lists,
    as_raw_lists_in_sorted_order,
    as_lists_in_a_list,
    as_yaml_list,
    as_yaml_documents,
    as_raw_yaml_lists,
    as_flow_yaml,
    as_gzip,
    as_gzip_members,
    as_powershell_saves_it,
    as_big_endian_utf16,
    with_a_byte_order_mark,
    as_folder_of_objects,
    as_folder_with_doubles,
    as_cluster_info_dump,
    as_cluster_info_dump_to_standard_output,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_the_report_is_the_same(shape: Callable[[Objects, Path], str], tmp_path: Path) -> None:
    for number, path in enumerate(CASE_PATHS):
        folder = tmp_path / str(number)
        folder.mkdir()
        saved = open_recording([shape(saved_objects(path), folder)], None)
        assert report(saved, look_of(path)) == expected(path), path


@pytest.mark.parametrize("path", CASE_PATHS[:3], ids=lambda path: path.parent.name)
def test_standard_input(path: Path) -> None:
    found = diagnose_namespaces(open_recording(["-"], io.BytesIO(path.read_bytes())), Selection()).report
    assert isinstance(found, Report)
    assert found.cluster.recording == "standard input"
    assert report(open_recording(["-"], io.BytesIO(gzip.compress(path.read_bytes())))) == expected(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """`-f <(kubectl get ...)`"""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(CASE_PATHS[0].read_bytes()))
    writer.start()
    assert report(open_recording([str(pipe)], None)) == expected(CASE_PATHS[0])
    writer.join()


def test_several_files_are_one_recording(tmp_path: Path) -> None:
    objects = saved_objects(CASE_PATHS[1])
    paths = [write(tmp_path / f"{number}.json", json.dumps(entry)) for number, entry in enumerate(objects)]
    recording = open_recording([*paths, paths[0]], None)
    assert recording.origin().recording == ", ".join(paths)
    assert report(recording) == expected(CASE_PATHS[1])
