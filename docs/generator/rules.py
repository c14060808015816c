"""docs/rules.md: every rule's page, as `kubectl memdoctor explain` prints it, with what its file declares."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubectl_memdoctor.rules import Rule, rules

from . import GENERATED

INTRODUCTION = """\
What `kubectl memdoctor` looks for. A rule's name is the same here, in reports and in `kubectl memdoctor explain RULE`.
Where one rule explains what another one sees, only the cause is reported."""


def page() -> str:
    parts = [GENERATED, "# Rules", INTRODUCTION, "\n".join(_index()), *map(_rule, rules())]
    return "\n\n".join(parts) + "\n"


def _index() -> Iterator[str]:
    yield "| rule | about | what it finds |"
    yield "|---|---|---|"
    for rule in rules():
        yield f"| [{rule.name}](#{rule.name}) | {rule.scope} | {rule.summary} |"


def _rule(rule: Rule) -> str:
    summary, _, rest = rule.page.partition("\n")
    parts = re.sub(r"^## ", "### ", rest.strip(), flags=re.MULTILINE)
    return "\n\n".join([f"## {rule.name}", summary, parts, "\n".join(_declared(rule))])


def _declared(rule: Rule) -> Iterator[str]:
    yield "### What it reads"
    yield f"- Cannot look without: {', '.join(resource.name for resource in rule.needs)}"
    if rule.uses:
        yield f"- Is less sure without: {', '.join(resource.name for resource in rule.uses)}"
    if rule.supersedes:
        yield f"- Is reported instead of: {', '.join(f'[{name}](#{name})' for name in sorted(rule.supersedes))}"
