"""What a server or its host key was refused for, or refused us for: facts without words."""

from __future__ import annotations

from paramiko import SSHException


class HostKeyError(SSHException):
    """The server's host key is not one that we trust."""

    def __init__(self, *, name: str, kind: str, fingerprint: str, file: str) -> None:
        super().__init__(f"{name} {kind} {fingerprint}")
        self.name = name
        """As known_hosts writes it."""
        self.kind = kind
        self.fingerprint = fingerprint
        self.file = file
        """The known_hosts file that it could be written to."""


class UnknownHostKeyError(HostKeyError):
    """Nothing is known about this host."""


class ChangedHostKeyError(HostKeyError):
    """Another key is known for this host."""


class RevokedHostKeyError(HostKeyError):
    """The key is marked `@revoked`."""


class KeysRefusedError(SSHException):
    """None of our keys opened the door."""

    def __init__(self, *, tried: tuple[str, ...], unusable: tuple[str, ...], wanted: tuple[str, ...] = ()) -> None:
        super().__init__(", ".join(tried))
        self.tried = tried
        """Names of the keys that the server refused."""
        self.unusable = unusable
        """Names of key files that could not be used, with the reason."""
        self.wanted = wanted
        """What the server asks for besides a key, or instead of one: `password`."""
