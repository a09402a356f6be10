"""Checks a server's host key: known ones pass, changed ones never, new ones only when asked for."""

from __future__ import annotations

from pathlib import Path

from paramiko import MissingHostKeyPolicy, PKey, SSHClient

from orchestrator.remote.known_hosts import KnownHosts, fingerprint, name_of
from orchestrator.remote.refusals import ChangedHostKeyError, HostKeyError, RevokedHostKeyError, UnknownHostKeyError

_SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
"""Key kind → the algorithms that prove it, where these are not named alike (RFC 8332)."""


class StrictHostKeys(MissingHostKeyPolicy):
    """The policy of one connection.

    paramiko asks it about every key, because its own list is left empty: that one knows no globs,
    no `HostKeyAlias` and no revoked keys.
    """

    def __init__(
        self, known: KnownHosts, *, host: str, port: int | None, files: tuple[Path, ...], accept_new: bool
    ) -> None:
        """Check the key of `host`; `port` is None when the name is a HostKeyAlias."""
        self._known = known
        self._name = host.lower() if port is None else name_of(host, port)
        self._files = files
        self._accept_new = accept_new
        self._exact = known.keys_of(self._name, files)
        # As OpenSSH does: a key known for the host on its usual port is good on another one too.
        self._trusted = self._exact or known.keys_of(host.lower(), files)

    def preferred(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """Return the key algorithms with those first for which a key is known: the server shows only one key."""
        kinds = {kind for line in self._trusted for kind in _SIGNATURES.get(line.kind, (line.kind,))}
        return tuple(sorted(offered, key=lambda kind: kind not in kinds))

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002 - paramiko's
        """Return when the key is trusted. Raises HostKeyError."""
        same = [line for line in self._trusted if (line.kind, line.key) == (key.get_name(), key.get_base64())]
        if any(line.is_revoked for line in same):
            raise self._refused(RevokedHostKeyError, key)
        if same:
            return
        if any(not line.is_revoked for line in self._exact):
            raise self._refused(ChangedHostKeyError, key)
        if not self._accept_new:
            raise self._refused(UnknownHostKeyError, key)
        self._known.remember(self._name, key.get_name(), key.get_base64(), self._files[0])

    def _refused(self, kind: type[HostKeyError], key: PKey) -> HostKeyError:
        return kind(
            name=self._name, kind=key.get_name(), fingerprint=fingerprint(key.asbytes()), file=str(self._files[0])
        )
