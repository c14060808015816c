"""What the pages name exists: commands, flags, rules, files and the places that links lead to."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from kubectl_memdoctor.commands import NAMES, command
from kubectl_memdoctor.flags import EVERY_FLAG, HELP, PROGRAM, parse, refuse_others
from kubectl_memdoctor.rules import rules

from .pages import DOCS, PAGES, ROOT, code_of, name_of, prose_of

RULES = {rule.name for rule in rules()}
FLAGS = {f"--{name}" for flag in EVERY_FLAG for name in (flag.name, flag.alias) if name}
FLAGS_OF_OTHERS = {
    "--check": "sha256sum",
    "--event-ttl": "kube-apiserver",
    "--find-links": "pip",
    "--ignore-missing": "sha256sum",
    "--limits": "kubectl set resources",
    "--no-index": "pip",
    "--output-directory": "kubectl cluster-info dump",
    "--repo": "gh attestation verify",
    "--requests": "kubectl set resources",
    "--to-revision": "kubectl rollout undo",
    "--upload-file": "curl",
}
"""Flags that pages name beside the program's own."""
MADE_UP = {"case.yaml", "fires-WHAT.yaml", "silent-WHAT.yaml"}
"""Files of examples."""

on_every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def commands_on(page: Path) -> Iterator[str]:
    """What stands behind `kubectl memdoctor`, without the prompt before and a comment behind."""
    for line in code_of(page):
        words = line.strip().removeprefix("$ ")
        if words.startswith(f"{PROGRAM} "):
            yield words.removeprefix(f"{PROGRAM} ")


EVERY_COMMAND = sorted({text for page in PAGES for text in commands_on(page)})


@pytest.mark.parametrize("text", EVERY_COMMAND)
def test_commands_are_taken_as_they_stand(text: str) -> None:
    line = parse(shlex.split(text.replace("COMMAND", "pod"), comments=True))
    name = line.words[0] if line.words else HELP.name
    assert name in (*NAMES, HELP.name)
    if name in NAMES:
        refuse_others(line, command(name).page.flags, name)


def test_every_command_is_shown_somewhere() -> None:
    assert {name for name in NAMES if any(text.partition(" ")[0] == name for text in EVERY_COMMAND)} == set(NAMES)


@on_every_page
def test_flags_exist(page: Path) -> None:
    """Flags of kubectl's own commands are kubectl's business."""
    own = (re.sub(rf"\bkubectl (?!{PROGRAM.split()[1]}\b)[^`|]*", "", line) for line in code_of(page))
    named = {flag for line in own for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", line)}
    assert named - FLAGS <= set(FLAGS_OF_OTHERS)


def test_no_flag_of_others_is_kept_for_nothing() -> None:
    code = "\n".join(line for page in PAGES for line in code_of(page))
    assert [flag for flag in FLAGS_OF_OTHERS if flag not in code] == []


@on_every_page
def test_rules_exist(page: Path) -> None:
    """What looks like a rule's name is one: words joined by hyphens, the first of which begins a rule's name."""
    first_words = "|".join(sorted({name.partition("-")[0] for name in RULES}))
    shape = re.compile(rf"(?:{first_words})(?:-[a-z0-9]+)+")
    named = {text for text in re.findall(r"[`#(\[]([a-z0-9-]+)[`\])]", page.read_text()) if shape.fullmatch(text)}
    assert named - RULES - {"pod-template-hash", "node-problem-detector"} == set()


@on_every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{name_of(page)}: {target}"
        if anchor:
            assert anchor in anchors_of(path), f"{name_of(page)}: {target}"


def anchors_of(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@on_every_page
def test_files_exist(page: Path) -> None:
    """Paths between backticks, from the root of the project, from docs/ or from the package."""
    named = {text for text in code_of(page) if re.fullmatch(r"[\w./-]+\.(?:py|ya?ml|json|md|cfg)", text)}
    for text in named - MADE_UP:
        assert any((folder / text).exists() for folder in (ROOT, DOCS, ROOT / "kubectl_memdoctor")), text


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        for target in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text()):
            linked = (page.parent / target).resolve()
            if linked.exists() and linked not in reached:
                reached.add(linked)
                waiting.append(linked)
    assert {name_of(page) for page in DOCS.glob("*.md")} <= {name_of(page) for page in reached}
