"""What SECURITY.md says of suggested commands: whatever a name holds, it stays one word of them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_memdoctor.cli import main

from .reports import telling_cases

HOSTILE = ";reboot"


def renamed(value: Any, names: re.Pattern[str]) -> Any:
    """The names, wherever they are spoken of, with something behind them that a shell would obey."""
    if isinstance(value, str):
        return names.sub(lambda found: found[0] + HOSTILE, value)
    if isinstance(value, list):
        return [renamed(entry, names) for entry in value]
    if isinstance(value, dict):
        return {key: renamed(entry, names) for key, entry in value.items()}
    return value


def names_in(recording: Any) -> re.Pattern[str]:
    found = {item["metadata"]["name"] for item in recording["items"] if item["kind"] != "Event"}
    found |= {item["metadata"].get("namespace", "default") for item in recording["items"]}
    found |= {item["involvedObject"]["name"] for item in recording["items"] if item["kind"] == "Event"}
    found |= set(re.findall(r"exceeded quota: ([\w.-]+)", json.dumps(recording, default=str)))
    found |= set(re.findall(r"failed quota: ([\w.-]+)", json.dumps(recording, default=str)))
    alternatives = "|".join(re.escape(name) for name in sorted(found, key=len, reverse=True))
    return re.compile(rf"(?<![\w./-])(?:{alternatives})(?![\w./-])")


def commands(report: Any) -> list[str]:
    remedies = [finding.get("remedy", {}) for finding in report["findings"]]
    return [remedy[name] for remedy in remedies for name in ("command", "rollback") if name in remedy]


def unquoted(command: str) -> list[str]:
    """The semicolons that a shell would take for the end of a command."""
    words = shlex.shlex(command, posix=True, punctuation_chars=";")
    words.whitespace_split = True
    return [word for word in words if set(word) == {";"}]


@pytest.mark.parametrize("path", telling_cases(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_names_stay_words(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    hostile = tmp_path / "hostile.json"
    hostile.write_text(json.dumps(renamed(recording, names_in(recording)), default=str))
    main(["ns", "--all", "-f", str(hostile), "-o", "json"])
    for command in commands(json.loads(capsys.readouterr().out)):
        assert unquoted(command) == []


def test_an_unquoted_semicolon_is_seen() -> None:
    assert unquoted("kubectl -n shop delete pod web;reboot") == [";"]
    assert unquoted("kubectl -n shop delete pod 'web;reboot'") == []
