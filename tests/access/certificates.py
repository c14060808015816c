"""Certificates for the servers and clients of these tests, made anew for each run."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVER_NAME = "kube.example"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA that signs; its certificate has no key identifiers, as many clusters' CAs."""

    pair: KeyPair
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def server(self, *names: str) -> KeyPair:
        alternatives = [_general_name(name) for name in names]
        return self._sign("kube-apiserver", x509.SubjectAlternativeName(alternatives))

    def client(self, user: str) -> KeyPair:
        return self._sign(user, None)

    def expired_server(self, *names: str) -> KeyPair:
        alternatives = [_general_name(name) for name in names]
        return self._sign("kube-apiserver", x509.SubjectAlternativeName(alternatives), days=-1)

    def _sign(self, subject: str, alternatives: x509.SubjectAlternativeName | None, days: int = 1) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, days).issuer_name(self.certificate.subject).public_key(key.public_key())
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return _pair(builder.sign(self.key, hashes.SHA256()), key)


def new_authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(name, 1).issuer_name(subject).public_key(key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    return Authority(_pair(certificate, key), certificate, key)


def _builder(common_name: str, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
