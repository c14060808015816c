"""The certificate authorities that the machine trusts, wherever it keeps them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

PLACES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where kubectl looks: https://github.com/golang/go/blob/go1.26.0/src/crypto/x509/root_linux.go"""


def trust_system(context: ssl.SSLContext, places: Sequence[str] = PLACES) -> None:
    """OpenSSL knows one place, that of the system it was built on, which a bundle may have left: then the first of
    `places` that is there counts. SSL_CERT_FILE and SSL_CERT_DIR go before all, as in kubectl."""
    context.load_default_certs()
    known = ssl.get_default_verify_paths()
    if known.cafile or known.capath:
        return
    found = next((path for path in places if os.path.isfile(path)), None)
    if found:
        context.load_verify_locations(found)
