"""The two modules of the official client that make a connection pool, without all the rest of it.

Its packages import everything there is as soon as one module of them is wanted: a loader of kubeconfigs, OAuth,
requests, pydantic, informers; more than half of what starting this program would cost. So the packages stand there as
mere folders while these two modules, which need nothing of that, are imported.
https://github.com/kubernetes-client/python/blob/v36.0.0/kubernetes/__init__.py
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PACKAGES = ("kubernetes", "kubernetes.client", "kubernetes.utils")


@contextmanager
def _as_folders() -> Iterator[None]:
    """Nothing where somebody has imported the client already; who imports it afterwards gets it whole."""
    names = [name for name in _PACKAGES if name not in sys.modules]
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


with _as_folders():
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject

__all__ = ["Configuration", "RESTClientObject"]
