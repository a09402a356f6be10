"""Makes the certificates of one fan-out: who may talk to whom, for this run alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# The clocks of hosts lie, and no key outlives its run: the certificates are valid at any time (RFC 5280, 4.1.2.5).
_NOT_BEFORE = datetime(2000, 1, 1, tzinfo=timezone.utc)
_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
_LONGEST_NAME_BYTES = 64
"""RFC 5280, ub-common-name."""
_HOST_MAY = x509.ExtendedKeyUsage([x509.OID_SERVER_AUTH, x509.OID_CLIENT_AUTH])


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one host proves itself with; the key goes to that host only."""

    certificate_pem: str
    key_pem: str = field(repr=False)
    sha256: str
    """Of the certificate's DER form, in hex: what its peers pin."""


class RunAuthority:
    """Signs the certificates of one run; its key never leaves this object. Safe to use from several threads."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("dsdeploy run")
        own_identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_identifier)
        certificate = (
            self._certificate(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_may_sign_certificates(), critical=True)
            .add_extension(own_identifier, critical=False)
            .sign(self._key, SHA256())
        )
        self.certificate_pem = _pem(certificate)
        """What every host of the run trusts, and nothing else."""

    def issue(self, host: str) -> Credentials:
        """Make a host's key and sign its certificate, good for both ends of a connection."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._certificate(_name(host), key.public_key())
            .add_extension(_HOST_MAY, critical=False)
            .add_extension(self._identifier, critical=False)
            .sign(self._key, SHA256())
        )
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Credentials(
            certificate_pem=_pem(certificate),
            key_pem=key_pem,
            sha256=certificate.fingerprint(SHA256()).hex(),
        )

    def _certificate(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=_NOT_BEFORE,
            not_valid_after=_NOT_AFTER,
        )


def _name(word: str) -> x509.Name:
    """Return a name for people who look at a connection: peers are told apart by their digests."""
    short = word.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore")
    return x509.Name([x509.NameAttribute(x509.OID_COMMON_NAME, short)])


def _may_sign_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
