"""Proves who we are: with keys of files and of the SSH agent, never with a password."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from paramiko import Agent, PasswordRequiredException, PKey, SSHException, Transport
from paramiko.ssh_exception import BadAuthenticationType

from orchestrator.remote.refusals import KeysRefusedError

_DEFAULT_FILES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
"""Tried when the configuration names no IdentityFile; the cheapest first."""
_MISSING = "does not exist"
_TIMED_OUT = "Authentication timeout."
"""paramiko's word for a server that does not answer: the next key would wait as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A key file: what is in it, or why it cannot be used."""

    path: str
    key: PKey | None = None
    problem: str | None = None


class KeyFiles:
    """Loads every key file once for all hosts. Safe to use from several threads."""

    def __init__(self) -> None:
        self._loaded: dict[str, Identity] = {}
        self._lock = threading.Lock()

    def load(self, path: str) -> Identity:
        """Return the identity in a file."""
        with self._lock:
            if path not in self._loaded:
                self._loaded[path] = _load(path)
            return self._loaded[path]


class KeyAuthentication:
    """The keys for one connection, in the order in which they are offered. Works as paramiko's auth strategy."""

    def __init__(self, *, user: str, files: tuple[str, ...], only_files: bool, loaded: KeyFiles) -> None:
        """Offer `files` (the default ones when empty), then, unless `only_files`, what the SSH agent holds."""
        self._user = user
        self._identities = [loaded.load(file) for file in files or _DEFAULT_FILES]
        self._are_default = not files
        self._only_files = only_files

    def authenticate(self, transport: Transport) -> None:
        """Log in. Raises KeysRefusedError, or what breaks the connection."""
        tried: list[str] = []
        for name, key in self._offers():
            tried.append(name)
            try:
                wanted = transport.auth_publickey(self._user, key)
            except BadAuthenticationType as error:
                raise self._refused(tried, wanted=tuple(error.allowed_types)) from error
            except SSHException as error:
                if not transport.is_active() or str(error) == _TIMED_OUT:
                    raise
                continue
            if wanted:
                raise self._refused(tried, wanted=tuple(wanted))
            return
        raise self._refused(tried)

    def _offers(self) -> Iterator[tuple[str, PKey]]:
        for identity in self._identities:
            if identity.key is not None:
                yield identity.path, identity.key
        if not self._only_files:
            with closing(Agent()) as agent:
                for key in agent.get_keys():
                    yield f"{key.comment or key.get_name()} (SSH agent)", key

    def _refused(self, tried: list[str], *, wanted: tuple[str, ...] = ()) -> KeysRefusedError:
        unusable = tuple(
            f"{identity.path} ({identity.problem})"
            for identity in self._identities
            if identity.problem is not None and not (self._are_default and identity.problem == _MISSING)
        )
        return KeysRefusedError(tried=tuple(tried), unusable=unusable, wanted=wanted)


def _load(path: str) -> Identity:
    try:
        return Identity(path=path, key=PKey.from_path(Path(path).expanduser()))
    except FileNotFoundError:
        return Identity(path=path, problem=_MISSING)
    except (PasswordRequiredException, TypeError):  # cryptography says TypeError: "Password was not given …"
        return Identity(path=path, problem="encrypted")
    except (OSError, ValueError, SSHException) as error:
        return Identity(path=path, problem=f"unreadable: {error}")
