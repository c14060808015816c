"""Where the machine keeps what it trusts, when OpenSSL's own place is empty."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from kubectl_memdoctor.cluster.authorities import trust_system

from .certificates import new_authority


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """OpenSSL as it was built for another system: what it looks for is not there."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "absent"))
    return tmp_path


def trusted(*places: Path) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust_system(context, [str(path) for path in places])
    return len(context.get_ca_certs())


def test_the_first_place_that_is_there_counts(elsewhere: Path) -> None:
    one, two = elsewhere / "one.crt", elsewhere / "two.crt"
    one.write_bytes(new_authority("one").pair.certificate)
    two.write_bytes(new_authority("two").pair.certificate + new_authority("three").pair.certificate)
    assert trusted(elsewhere / "nowhere.crt", one, two) == 1
    assert trusted(two, one) == 2
    assert trusted() == 0


def test_what_the_user_names_goes_first(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = elsewhere / "own.pem", elsewhere / "other.crt"
    own.write_bytes(new_authority("own").pair.certificate)
    other.write_bytes(new_authority("a").pair.certificate + new_authority("b").pair.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert trusted(other) == 1
