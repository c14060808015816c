"""Whole objects as nobody stores them: no traceback, valid documents, safe commands, answers in proportion."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import json
import random
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kubectl_memdoctor.cli import main
from kubectl_memdoctor.flags import OUTPUTS
from kubectl_memdoctor.limit_sentences import PAGE_BYTES

from .hostile_objects import recorded, spoilt, whole_objects

SANDBOX_RULES = ("sandbox-memory-limit-too-small", "pod-memory-limit-below-sandbox-minimum")
SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text()))
SEEDS = st.integers(0, 2**32)
ALWAYS_SAYING = ("json", "yaml", "jsonl", "prometheus")
"""Outputs that say something also when nothing is found."""

moderate = settings(
    derandomize=True,
    deadline=None,
    # The recording lies in one file, written anew for each example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large, HealthCheck.too_slow],
)


def looked_at(path: Path, objects: list[Any], *arguments: str) -> tuple[int, str, str]:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return ran(*arguments, "-f", str(path))


def ran(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr. Whatever `main` lets through fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "whole.json"


def every_output_holds(file: Path, objects: list[Any]) -> None:
    code, out, err = looked_at(file, objects, "ns", "--all", "-o", "json")
    if code == 2:
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return
    report = json.loads(out)
    SCHEMA.validate(report)
    assert (code == 1) == any(finding["severity"] != "info" for finding in report["findings"])
    for output in OUTPUTS:
        again, text, _ = ran("ns", "--all", "-o", output, "-f", str(file))
        assert again == code
        assert bool(text) == bool(report["findings"]) or output in ALWAYS_SAYING
        if output == "yaml":
            assert yaml.load(text, yaml.CSafeLoader) == report
    for name in list(named_pods(objects))[:2]:
        assert ran("pod", name, "-f", str(file))[0] in (0, 1)


def named_pods(objects: list[Any]) -> Iterator[str]:
    for entry in objects:
        metadata = entry.get("metadata") if entry.get("kind") == "Pod" else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if name and isinstance(name, str) and "/" not in name and not name.startswith("-"):
            yield name


@given(objects=whole_objects)
@settings(moderate, max_examples=25)
def test_generated_objects(objects: list[Any], file: Path) -> None:
    every_output_holds(file, objects)


@given(seed=SEEDS)
@settings(moderate, max_examples=25)
def test_recorded_objects_with_spoilt_fields(seed: int, file: Path) -> None:
    every_output_holds(file, without_other_types(spoilt(random.Random(seed))))


def without_other_types(objects: list[Any]) -> list[Any]:
    return [entry for entry in objects if isinstance(entry, dict)]


def findings(file: Path, objects: list[Any]) -> list[Any]:
    code, out, _ = looked_at(file, objects, "ns", "--all", "-o", "json")
    found: list[Any] = json.loads(out)["findings"] if code != 2 else []
    return found


HOSTILE_ENDINGS = ("'; rm -rf ~ #", "$(reboot)", "`reboot`", " && reboot", '"|sh', "\n;reboot", " #", "\\", "*", "~")


def test_a_command_runs_kubectl_and_nothing_else_whatever_the_names(file: Path) -> None:
    endings = itertools.cycle(HOSTILE_ENDINGS)
    commands = [command for objects in recorded() for command in commands_for(file, renamed(objects, next(endings)))]
    assert len(commands) > len(recorded()) / 4
    for command in commands:
        for words, operator in parts(command):
            assert words[0] == "kubectl"
            assert operator in ("|", "&&", "")


def commands_for(file: Path, objects: list[Any]) -> Iterator[str]:
    for finding in findings(file, objects):
        remedy = finding.get("remedy", {})
        yield from filter(None, (remedy.get("command"), remedy.get("rollback")))


def renamed(objects: list[Any], ending: str) -> list[Any]:
    """Every name, namespace and the like with the ending, consistently."""
    text = json.dumps(objects, default=str)
    for name in sorted(set(names_in(objects)), key=len, reverse=True):
        text = text.replace(json.dumps(name), json.dumps(name + ending))
    renamed_objects: list[Any] = json.loads(text)
    return renamed_objects


def names_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from names_in(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key in ("name", "namespace", "nodeName") and isinstance(entry, str) and entry:
                yield entry
            yield from names_in(entry)


def parts(command: str) -> Iterator[tuple[list[str], str]]:
    """The simple commands of a command line and what joins them. Raises ValueError where a quote is left open."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for token in lexer:
        if set(token) <= set("();<>|&"):
            yield words, token
            words = []
        else:
            words.append(token)
    yield words, ""


@given(seed=SEEDS)
@settings(moderate, max_examples=25)
def test_without_events_only_arithmetic_confirms(seed: int, file: Path) -> None:
    only_arithmetic_confirms(file, without_other_types(spoilt(random.Random(seed))))


def test_without_events_only_arithmetic_confirms_what_was_recorded(file: Path) -> None:
    seen = [only_arithmetic_confirms(file, objects) for objects in recorded()]
    assert any(seen)


def only_arithmetic_confirms(file: Path, objects: list[Any]) -> bool:
    """Whether there was anything to hold."""
    found = findings(file, [entry for entry in objects if entry.get("kind") != "Event"])
    told = [finding for finding in found if finding["rule"] in SANDBOX_RULES]
    for finding in told:
        assert finding["confidence"] != "confirmed" or finding["memory"]["limitBytes"] < PAGE_BYTES
    return bool(told)


@given(seed=SEEDS)
@settings(moderate, max_examples=25)
def test_an_ample_limit_is_never_too_small_for_a_sandbox(seed: int, file: Path) -> None:
    assert not too_small(file, ample(without_other_types(spoilt(random.Random(seed)))))


def test_an_ample_limit_is_never_too_small_where_the_recorded_one_was(file: Path) -> None:
    firing = [objects for objects in recorded() if too_small(file, objects)]
    assert firing
    for objects in firing:
        assert not too_small(file, ample(objects))


def too_small(file: Path, objects: list[Any]) -> set[str]:
    rules = {finding["rule"] for finding in findings(file, objects)}
    return rules & {*SANDBOX_RULES, "volume-memory-limit-too-small"}


def ample(objects: list[Any]) -> list[Any]:
    raised = copy.deepcopy(objects)
    raise_limits(raised)
    return raised


def raise_limits(value: Any) -> None:
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        raise_limits(entry)
    if isinstance(value, dict):
        for key in ("limits", "default"):
            if isinstance(value.get(key), dict) and "memory" in value[key]:
                value[key]["memory"] = "64Gi"


def test_a_pod_of_elsewhere_and_foreign_objects_change_nothing(file: Path) -> None:
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": "elsewhere", "uid": "stranger"},
        "spec": {"nodeName": "another", "containers": [{"name": "app"}]},
        "status": {"phase": "Running"},
    }
    foreign = {"apiVersion": "example.org/v1", "kind": "Cat", "metadata": {"name": "tom"}, "spec": {"memory": "300m"}}
    for objects in recorded()[::3]:
        assert findings(file, [stranger, foreign, *objects]) == findings(file, [foreign, *objects, stranger])
