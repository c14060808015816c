"""Which contexts of a kubeconfig are looked at side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from kubectl_memdoctor.cluster.kubeconfig import Cluster, Context, Kubeconfig
from kubectl_memdoctor.cluster.source import AccessError


class Distinct(Struct, frozen=True):
    """`same`: a context that is left out -> the one of `names` that asks the same server as the same user."""

    names: tuple[str, ...]
    same: Mapping[str, str]


def named(config: Kubeconfig, names: Sequence[str]) -> tuple[str, ...]:
    """Each once, in their order. Raises AccessError with a line, as kubectl's, for each that does not exist."""
    wanted = tuple(dict.fromkeys(names))
    unknown = [f'error: context "{name}" does not exist' for name in wanted if name not in config.contexts]
    if unknown:
        raise AccessError("\n".join(unknown))
    return wanted


def distinct(config: Kubeconfig, *, by_namespace: bool) -> Distinct:
    """All contexts but those that would only find the same again. `by_namespace`: a context's namespace is what is
    looked at there, so that another one is something else. Raises AccessError where there is none."""
    if not config.contexts:
        raise AccessError("error: the kubeconfig has no contexts")
    first: dict[tuple[str, ...], str] = {}
    same: dict[str, str] = {}
    for name, context in config.contexts.items():
        kept = first.setdefault(_asked(config, context, by_namespace=by_namespace), name)
        if kept != name:
            same[name] = kept
    return Distinct(tuple(first.values()), same)


def _asked(config: Kubeconfig, context: Context, *, by_namespace: bool) -> tuple[str, ...]:
    """Who asks which server. An address may be reached in several ways: through another proxy it is another one."""
    cluster = config.clusters.get(context.cluster, Cluster())
    server = (cluster.server.rstrip("/"), cluster.proxy_url) if cluster.server else (context.cluster, "")
    return (*server, context.user, *((context.namespace or "default",) if by_namespace else ()))
