"""Every rule's docstring is its page: one sentence, then the same sections in the same order."""

from __future__ import annotations

import re

import pytest

from kubectl_memdoctor.rules import Rule, rules

SECTIONS = ["What it finds", "Why it matters", "When it is wrong", "How to mend it", "References"]
NAMES = {rule.name for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_page(rule: Rule) -> None:
    assert rule.summary.endswith(".")
    assert re.findall(r"^## (.*)$", rule.page, re.MULTILINE) == SECTIONS
    parts = re.split(r"^## .*$", rule.page, flags=re.MULTILINE)
    assert all(part.strip() for part in parts)
    assert "https://" in parts[-1]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_supersedes_only_rules_that_exist(rule: Rule) -> None:
    assert rule.supersedes <= NAMES - {rule.name}


def test_no_two_rules_explain_each_other_away() -> None:
    by_name = {rule.name: rule for rule in rules()}
    for rule in rules():
        assert not any(rule.name in by_name[other].supersedes for other in rule.supersedes)
