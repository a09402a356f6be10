"""Turns what went wrong while connecting into one line, and one on what to do about it."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from paramiko import AuthenticationException, ChannelException, SSHException
from paramiko.ssh_exception import IncompatiblePeer

from orchestrator.errors import HostError
from orchestrator.remote.refusals import (
    ChangedHostKeyError,
    HostKeyError,
    KeysRefusedError,
    RevokedHostKeyError,
)

FAULTS = (OSError, EOFError, SSHException)
"""What sockets and paramiko raise."""

_UNROUTED = {errno.EHOSTUNREACH, errno.ENETUNREACH}
_HUNG_UP = (EOFError, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where we wanted to go."""

    name: str
    """As the hostfile, or ProxyJump, has it."""
    address: str
    port: int
    user: str
    route: tuple[str, ...] = ()
    """Jump hosts on the way."""


def is_worth_retrying(error: BaseException) -> bool:
    """Whether the server hung up before it said hello: what sshd does beyond its MaxStartups (sshd_config(5))."""
    return _is_banner_error(error) and isinstance(error.__context__, _HUNG_UP)


def explain(error: BaseException, target: Target) -> HostError:
    """Return the failure in words that name the host, so that equal ones can be folded."""
    match error:
        case HostKeyError():
            return _host_key(error, target)
        case KeysRefusedError():
            return _keys_refused(error, target)
        case ChannelException():
            return _unreached_by_jump(error, target)
        case SSHException():
            return _handshake(error, target)
        case EOFError():
            return _hung_up(target)
        case OSError():
            return _network(error, target)
    raise TypeError(f"no fault of a connection: {error!r}")


def _network(error: OSError, target: Target) -> HostError:
    name, port = target.name, target.port
    match error:
        case socket.gaierror():
            hint = f"check the hostfile, or give {name} a HostName in your SSH configuration"
            return HostError(f"the name {name} does not resolve", hint=hint)
        case ConnectionRefusedError():
            hint = "is sshd running there? another port is given with port=N in the hostfile"
            return HostError(f"{name} refuses connections on port {port}", hint=hint)
        case TimeoutError():
            hint = f"is {name} up, and does a firewall let port {port} through?"
            return HostError(f"{name} does not answer on port {port}", hint=hint)
        case ConnectionResetError() | BrokenPipeError():
            return _hung_up(target)
    if error.errno in _UNROUTED:
        return HostError(f"there is no route to {name}", hint="is it up, and in a network that we can reach?")
    return HostError(f"{name} cannot be connected to: {error.strerror or error}")


def _handshake(error: SSHException, target: Target) -> HostError:
    name = target.name
    if _is_banner_error(error):
        if isinstance(error.__context__, _HUNG_UP):
            return _hung_up(target)
        hint = f"is an SSH server listening on port {target.port}, and is it not frozen? see: ssh -v {name}"
        return HostError(f"{name} took the connection, but no SSH server answers", hint=hint)
    if isinstance(error, IncompatiblePeer):
        return HostError(f"{name} offers no SSH algorithms that we accept: {error}", hint="update its SSH server")
    if isinstance(error, AuthenticationException):
        return HostError(f"{name} did not finish the login: {error}", hint=_try_by_hand(target))
    return HostError(f"the SSH connection to {name} failed: {error}", hint=_try_by_hand(target))


def _hung_up(target: Target) -> HostError:
    hint = (
        f"it may refuse our address (hosts.deny, fail2ban), or be flooded (MaxStartups in sshd_config); "
        f"try: ssh {target.name} true"
    )
    return HostError(f"{target.name} closed the connection before the login", hint=hint)


def _host_key(error: HostKeyError, target: Target) -> HostError:
    shown = f"{error.kind} {error.fingerprint}"
    if isinstance(error, RevokedHostKeyError):
        return HostError(f"{target.name} shows a host key that is marked as revoked: {shown}")
    if isinstance(error, ChangedHostKeyError):
        message = f"{target.name} shows another host key than the one that is known: {shown}"
        hint = (
            f"somebody may be listening in, or the host was installed anew; "
            f"when it was: ssh-keygen -R '{error.name}' -f {error.file}"
        )
        return HostError(message, hint=hint)
    hint = (
        f"compare it with the host's own, then: ssh-keyscan -p {target.port} {target.address} >> {error.file}; "
        f"or trust new hosts with --accept-new-host-keys"
    )
    return HostError(f"the host key of {target.name} is not known: {shown}", hint=hint)


def _keys_refused(error: KeysRefusedError, target: Target) -> HostError:
    words = [f"tried: {', '.join(error.tried)}" if error.tried else "there is no key to try"]
    if error.unusable:
        words.append(f"not usable: {', '.join(error.unusable)}")
    message = f"{target.name} does not let {target.user} in ({'; '.join(words)})"
    if error.wanted and "publickey" not in error.wanted:
        hint = f"the server wants {' and '.join(error.wanted)}, and passwords are never asked for: allow keys there"
    elif any("encrypted" in word for word in error.unusable):
        hint = "unlock the key with ssh-add first: passphrases are never asked for"
    else:
        hint = (
            f"add your key there: ssh-copy-id -p {target.port} {target.user}@{target.name}; or name it as IdentityFile"
        )
    return HostError(message, hint=hint)


def _unreached_by_jump(error: ChannelException, target: Target) -> HostError:
    if not target.route:
        return HostError(f"{target.name} opens no session: {error.text}", hint="see MaxSessions in its sshd_config")
    message = f"the jump host {target.route[-1]} cannot reach {target.name} on port {target.port}: {error.text}"
    return HostError(message, hint=f"try from there: ssh {target.route[-1]} nc -z {target.address} {target.port}")


def _try_by_hand(target: Target) -> str:
    return f"see: ssh -v -p {target.port} {target.user}@{target.name} true"


def _is_banner_error(error: BaseException) -> bool:
    return isinstance(error, SSHException) and "protocol banner" in str(error)
