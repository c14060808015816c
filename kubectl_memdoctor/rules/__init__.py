"""The rules: one file each, found by walking this folder.

A rule file's docstring is its page. Beside it stand, in capitals, what the rule is about and what it reads, and one
pure generator `find` over the context of one pod, node or namespace:

    SCOPE       Pod, Node or Namespace: which context `find` gets
    TRAITS      (Pod only) the traits of which a pod must show one, to be looked at
    NEEDS       resources without which the rule cannot look: it is then *not checked*
    USES        resources that make it surer: without them it still looks, and says so
    SUPERSEDES  rules whose findings on the same object this one explains
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from msgspec import Struct

from kubectl_memdoctor.context import NamespaceContext, NodeContext, PodContext, Trait
from kubectl_memdoctor.finding import Finding
from kubectl_memdoctor.objects import Resource


class Rule(Struct, frozen=True):
    """One rule as its file declares it."""

    name: str
    page: str
    scope: str
    needs: tuple[Resource[Any], ...]
    uses: tuple[Resource[Any], ...]
    traits: Trait
    supersedes: frozenset[str]
    find: Callable[[Any], Iterator[Finding]]

    @property
    def summary(self) -> str:
        """The page's first line."""
        return self.page.partition("\n")[0]


_SCOPES = {PodContext: "Pod", NodeContext: "Node", NamespaceContext: "Namespace"}


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, by name."""
    return tuple(_load(entry.name) for entry in sorted(pkgutil.iter_modules(__path__), key=lambda entry: entry.name))


def _load(module_name: str) -> Rule:
    module = importlib.import_module(f"{__name__}.{module_name}")
    return Rule(
        name=module_name.replace("_", "-"),
        page=(module.__doc__ or "").strip(),
        scope=_SCOPES[module.SCOPE],
        needs=module.NEEDS,
        uses=module.USES,
        traits=getattr(module, "TRAITS", Trait.NONE),
        supersedes=frozenset(module.SUPERSEDES),
        find=module.find,
    )
