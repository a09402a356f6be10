"""The certificates of a run, held against OpenSSL's own idea of who may talk."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from orchestrator.fanout.certificates import Credentials, RunAuthority


@pytest.fixture(scope="module")
def authority() -> RunAuthority:
    return RunAuthority()


def test_two_hosts_of_a_run_talk_over_tls_1_3_and_know_each_other(authority: RunAuthority, tmp_path: Path) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    server, client = _shake_hands(
        _context(ssl.PROTOCOL_TLS_SERVER, authority, one, tmp_path),
        _context(ssl.PROTOCOL_TLS_CLIENT, authority, other, tmp_path),
    )
    assert server.version() == client.version() == "TLSv1.3"
    assert _peer_sha256(server) == other.sha256
    assert _peer_sha256(client) == one.sha256


def test_a_client_of_another_run_is_refused(authority: RunAuthority, tmp_path: Path) -> None:
    server = _context(ssl.PROTOCOL_TLS_SERVER, authority, authority.issue("one"), tmp_path)
    stranger = _context(ssl.PROTOCOL_TLS_CLIENT, authority, RunAuthority().issue("one"), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(server, stranger)


def test_a_client_without_a_certificate_is_refused(authority: RunAuthority, tmp_path: Path) -> None:
    server = _context(ssl.PROTOCOL_TLS_SERVER, authority, authority.issue("one"), tmp_path)
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        _shake_hands(server, _context(ssl.PROTOCOL_TLS_CLIENT, authority, None, tmp_path))


def test_a_server_of_another_run_is_refused(authority: RunAuthority, tmp_path: Path) -> None:
    stranger = _context(ssl.PROTOCOL_TLS_SERVER, authority, RunAuthority().issue("one"), tmp_path)
    client = _context(ssl.PROTOCOL_TLS_CLIENT, authority, authority.issue("other"), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(stranger, client)


def test_a_host_cannot_sign_for_others(authority: RunAuthority) -> None:
    certificate = x509.load_pem_x509_certificate(authority.issue("one").certificate_pem.encode())
    extensions = {extension.value.oid for extension in certificate.extensions}
    assert x509.BasicConstraints.oid not in extensions
    own = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    assert own.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_a_host_whose_clock_lies_can_take_part(authority: RunAuthority) -> None:
    for pem in (authority.certificate_pem, authority.issue("one").certificate_pem):
        certificate = x509.load_pem_x509_certificate(pem.encode())
        assert certificate.not_valid_before_utc.year == 2000
        assert certificate.not_valid_after_utc.year == 9999


@pytest.mark.parametrize("host", ["worker-0", "10.0.0.7", "n" * 63 + "é.example", "knödel"])
def test_any_hosts_name_ends_up_in_its_certificate(authority: RunAuthority, host: str) -> None:
    certificate = x509.load_pem_x509_certificate(authority.issue(host).certificate_pem.encode())
    (name,) = certificate.subject.get_attributes_for_oid(x509.OID_COMMON_NAME)
    assert name.value
    assert host.startswith(str(name.value))


def test_every_certificate_has_a_key_and_a_digest_of_its_own(authority: RunAuthority) -> None:
    issued = [authority.issue("one") for _ in range(3)]
    assert len({credentials.key_pem for credentials in issued}) == 3
    assert len({credentials.sha256 for credentials in issued}) == 3


def test_the_digest_is_that_of_the_der_form(authority: RunAuthority) -> None:
    credentials = authority.issue("one")
    assert credentials.sha256 == hashlib.sha256(ssl.PEM_cert_to_DER_cert(credentials.certificate_pem)).hexdigest()


def test_a_key_does_not_show_in_a_log(authority: RunAuthority) -> None:
    credentials = authority.issue("one")
    assert "PRIVATE KEY" in credentials.key_pem
    assert "PRIVATE KEY" not in repr(credentials)


def _context(protocol: int, authority: RunAuthority, own: Credentials | None, folder: Path) -> ssl.SSLContext:
    """As a relay makes it, and with the strict checks that newer Pythons turn on."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authority.certificate_pem)
    if own is not None:
        (folder / "own.pem").write_text(own.key_pem + own.certificate_pem)
        context.load_cert_chain(folder / "own.pem")
    return context


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends in memory, by turns; raises what the end that refuses raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    served = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server)
    waiting = [asking, served]
    while waiting:
        end = waiting.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(end)
    return served, asking


def _peer_sha256(end: ssl.SSLObject) -> str:
    certificate = end.getpeercert(binary_form=True)
    assert certificate is not None
    return hashlib.sha256(certificate).hexdigest()
