"""Which credential plugins the user lets run: `credentialPluginPolicy` in kuberc (kubectl 1.35 and newer).

https://github.com/kubernetes/kubectl/blob/v0.37.0/pkg/kuberc/kuberc.go
https://github.com/kubernetes/client-go/blob/v0.37.0/plugin/pkg/client/auth/exec/exec.go
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubectl_memdoctor.cluster.source import AccessError


def refusal(command: str, path: str | None, environ: Mapping[str, str]) -> str:
    """Why `command` (found at `path`) may not run, or "" when it may. Raises AccessError for a kuberc that is wrong."""
    kuberc = _kuberc(environ)
    policy = kuberc.get("credentialPluginPolicy") or ""
    allowlist = kuberc.get("credentialPluginAllowlist")
    if policy in ("", "AllowAll", "DenyAll"):
        if allowlist is not None:
            raise _misconfigured(f'plugin policy is "{policy}" but allowlist is non-nil')
        return f'plugin "{command}" not allowed: policy set to "DenyAll"' if policy == "DenyAll" else ""
    if policy != "Allowlist":
        raise _misconfigured(f'unknown plugin policy: "{policy}"')
    allowed = _allowed(allowlist)
    if command in allowed or path in allowed:
        return ""
    if path is not None and path in {shutil.which(entry, path=environ.get("PATH")) for entry in allowed}:
        return ""
    return f'plugin path "{path or command}" is not permitted by the credential plugin allowlist'


def _allowed(allowlist: Any) -> tuple[str, ...]:
    entries = allowlist if isinstance(allowlist, list) else []
    commands = tuple(str(entry.get("command") or "") if isinstance(entry, dict) else "" for entry in entries)
    if not commands or not all(commands):
        raise _misconfigured('policy set to "Allowlist", but the allowlist is empty or has an empty entry')
    return commands


def _misconfigured(reason: str) -> AccessError:
    return AccessError(f"error: kuberc: misconfigured credential plugin allowlist: {reason}")


def _kuberc(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """The preferences, empty where there are none. A file named by KUBERC must be readable, the default one not."""
    chosen = environ.get("KUBERC", "")
    if chosen == "off" or environ.get("KUBECTL_KUBERC", "").lower() == "false":
        return {}
    file = Path(chosen) if chosen else Path(environ.get("HOME") or os.path.expanduser("~"), ".kube", "kuberc")
    if not chosen and not file.exists():
        return {}
    import yaml  # rarely needed: most people have no kuberc

    try:
        content = yaml.safe_load(file.read_bytes())
    except (OSError, yaml.YAMLError):
        if not chosen:
            return {}
        raise AccessError(f"error: kuberc: {file} cannot be read, or is not YAML") from None
    return content if isinstance(content, dict) else {}
