"""The last auth-provider that kubectl still knows, `oidc`; the others fail with kubectl's reason.

https://github.com/kubernetes/client-go/blob/v0.37.0/plugin/pkg/client/auth/oidc/oidc.go
kubectl renews a token and saves it in the kubeconfig; memdoctor writes nothing, so an expired token is an error.
"""

from __future__ import annotations

import binascii
import time
from base64 import urlsafe_b64decode

import msgspec
from msgspec import Struct

from kubectl_memdoctor.cluster.kubeconfig import AuthProvider
from kubectl_memdoctor.cluster.source import AccessError

_REMOVED = {
    "azure": "Please use the https://github.com/Azure/kubelogin kubectl/client-go credential plugin instead.",
    "gcp": 'Please use the "gke-gcloud-auth-plugin" kubectl/client-go credential plugin instead.',
}
_EXPIRY_SECONDS = 10.0


class _Claims(Struct, frozen=True):
    exp: float = 0.0


_CLAIMS_DECODER = msgspec.json.Decoder(_Claims)


def id_token(provider: AuthProvider) -> str:
    """The id-token, still valid. Raises AccessError for another provider, and for a token that has expired."""
    if provider.name in _REMOVED:
        raise AccessError(f"error: The {provider.name} auth plugin has been removed. {_REMOVED[provider.name]}")
    if provider.name != "oidc":
        raise AccessError(f'error: no Auth Provider found for name "{provider.name}"')
    config = provider.config or {}
    for required in ("idp-issuer-url", "client-id"):
        if not config.get(required):
            raise AccessError(f"error: Must provide {required}")
    token = config.get("id-token", "")
    if token and time.time() < _expiry(token) - _EXPIRY_SECONDS:
        return token
    if config.get("refresh-token"):
        raise AccessError(
            "error: the OIDC id-token in the kubeconfig has expired: run any kubectl command once, which renews and"
            " saves it, then try again"
        )
    raise AccessError("Unable to connect to the server: No valid id-token, and cannot refresh without refresh-token")


def _expiry(token: str) -> float:
    """Seconds since 1970; 0 for what is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return 0.0
    try:
        payload = urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return _CLAIMS_DECODER.decode(payload).exp
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return 0.0
