"""Whatever text a cluster holds, nothing that a terminal obeys reaches the screen, and no line is forged."""

from __future__ import annotations

import io
import itertools
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_memdoctor.clean import clean
from kubectl_memdoctor.cli import main
from kubectl_memdoctor.finding import (
    Diagnosis,
    Evidence,
    Finding,
    InvolvedObject,
    Memory,
    NotChecked,
    Owner,
    Remedy,
    Report,
    RuledOut,
    Termination,
)
from kubectl_memdoctor.flags import OUTPUTS, parse
from kubectl_memdoctor.outcome import show
from kubectl_memdoctor.screen import Screen

from .made import NOW, diagnosis, facts, finding

OBEYED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
HOSTILE = (
    "\x1b[2J\x1b[1;1H",
    "\x1b]0;title\x07",
    "\x9b31m",
    "a\nforged: line",
    "a\r\x1b[Kforged",
    "a\u2028b\u2029c\x85d",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "\ufeffa\u200bb",
    "soft\u00adhyphen",
    "tag\U000e0001\U000e0041",
    "\U000f0000private",
    "\ufff9annotated\ufffb",
    "\u0600number",
    "\x7f\x08\x00",
    "\ud800",
)
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=20),
    st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Cs"]), min_size=1, max_size=6),
)
writable = texts.map(lambda text: text.encode("utf-8", "replace").decode())
"""Text as JSON can hold it: no lone surrogates."""


def obeyed(text: str) -> set[str]:
    return {char for char in text if char != "\n" and unicodedata.category(char) in OBEYED}


@given(texts)
@settings(max_examples=150, derandomize=True)
def test_a_cleaned_text_is_one_harmless_line(text: str) -> None:
    cleaned = clean(text)
    assert "\n" not in cleaned
    assert not obeyed(cleaned)
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
@settings(max_examples=100, derandomize=True)
def test_a_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_what_does_not_print_is_shown_as_its_code() -> None:
    assert clean("a\x1b[31mb\u202ec\x00") == "a\\x1b[31mb\\u202ec\\x00"
    assert clean("\ta\r\nb\x85c ") == "a  b c"


pools = st.lists(writable, min_size=1, max_size=5)


def hostile_finding(text: Callable[[], str]) -> Finding:
    return finding(
        rule=text(),
        involved_object=InvolvedObject(kind=text(), namespace=text(), name=text(), uid=text(), field_path=text()),
        owner=Owner(kind=text(), namespace=text(), name=text()),
        node=text(),
        message=text(),
        details=(text(), text()),
        memory=Memory(limit_quantity=text(), limit_source=text(), minimum_bytes=1 << 20),
        evidence=(
            Evidence(source="event", object=text(), field=text(), value=text(), count=3, first_time=NOW, time=NOW),
            Evidence(source=text(), field=text(), value=text()),
        ),
        ruled_out=(RuledOut(cause=text(), because=text()),),
        remedy=Remedy(text=text(), command=text(), rollback=text(), patch={text(): [text()]}),
    )


def hostile_diagnosis(pool: list[str], findings: int = 2) -> Diagnosis:
    """Every text in it is one of the pool."""
    text = itertools.cycle(pool).__next__
    pod = facts(
        text(),
        namespace=text(),
        status=text(),
        node=text(),
        limit=text(),
        qos_class=text(),
        terminations=(Termination(text(), text(), 1, None, None),),
        warning=Evidence(source="event", field=text(), value=text()),
    )
    return diagnosis(
        *(hostile_finding(text) for _ in range(findings)),
        pods=[pod],
        not_checked=[NotChecked(rule=text(), resource=text(), reason=text())],
        errors=(text(),),
    )


def shown(what: Diagnosis, output: str, width: int | None = None) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    show(what, parse(["-o", output]), Screen(out, err, width, False), output="table")
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("output", OUTPUTS)
@given(pools, st.sampled_from([None, 80]))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_no_output_lets_anything_through(output: str, pool: list[str], width: int | None) -> None:
    for text in shown(hostile_diagnosis(pool), output, width):
        assert not obeyed(text)


@pytest.mark.parametrize("output", ["json", "yaml"])
@given(pools)
@settings(max_examples=20, derandomize=True, deadline=None)
def test_a_document_holds_the_texts_as_they_are(output: str, pool: list[str]) -> None:
    what = hostile_diagnosis(pool)
    out, _ = shown(what, output)
    document = json.loads(out) if output == "json" else yaml.safe_load(out)
    assert msgspec.convert(document, Report) == what.report


@given(pools)
@settings(max_examples=20, derandomize=True, deadline=None)
def test_a_row_of_a_table_is_one_line(pool: list[str]) -> None:
    out, _ = shown(hostile_diagnosis(pool, findings=1), "table")
    assert len(out.split("\n")) == len(["headers", "row", "end"])


RECORDED_HOSTILE = [text.encode("utf-8", "replace").decode() for text in HOSTILE]


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_recording_full_of_escape_sequences(output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items: list[dict[str, Any]] = []
    for number, text in enumerate(RECORDED_HOSTILE):
        items += _stuck_pod(f"web-{number}{text}", text)
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    assert main(["ns", "--all", "-f", str(path), "-o", output]) == 1
    out, err = capsys.readouterr()
    assert not obeyed(out)
    assert not obeyed(err)
    assert out


def _stuck_pod(name: str, text: str) -> list[dict[str, Any]]:
    metadata = {
        "name": name,
        "namespace": f"ns{text}",
        "uid": name,
        "annotations": {text: text},
        "labels": {text: text},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "nodeName": f"node{text}",
                "containers": [{"name": f"app{text}", "image": text, "resources": {"limits": {"memory": "300m"}}}],
            },
            "status": {
                "phase": "Pending",
                "reason": text,
                "message": text,
                "startTime": "2026-11-23T09:00:00Z",
                "containerStatuses": [{"name": f"app{text}", "state": {"waiting": {"reason": text, "message": text}}}],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.1", "namespace": f"ns{text}"},
            "involvedObject": {"kind": "Pod", "namespace": f"ns{text}", "name": name, "uid": name},
            "type": "Warning",
            "reason": "FailedCreatePodSandBox",
            "message": f"Failed to create pod sandbox: {text}",
            "lastTimestamp": "2026-11-23T10:00:00Z",
        },
    ]


def test_an_error_is_cleaned_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        assert main([f"quux{text}"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert not obeyed(err)
        assert len(err.splitlines()) == 2
