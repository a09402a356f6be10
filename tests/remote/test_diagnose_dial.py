"""Which words an exception becomes: the facts in them, and that a host's name is among them."""

from __future__ import annotations

import errno
import socket

import pytest
from paramiko import AuthenticationException, ChannelException, SSHException
from paramiko.ssh_exception import IncompatiblePeer

from orchestrator.remote.diagnose_dial import Target, explain, is_worth_retrying
from orchestrator.remote.refusals import KeysRefusedError

TARGET = Target(name="worker-0", address="10.0.0.1", port=2222, user="ml", route=("bastion",))


def banner_error(cause: BaseException) -> SSHException:
    error = SSHException("Error reading SSH protocol banner")
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (socket.gaierror(-2, "Name or service not known"), ["does not resolve"]),
        (ConnectionRefusedError(), ["refuses", "2222"]),
        (TimeoutError(), ["2222"]),
        (OSError(errno.EHOSTUNREACH, "No route to host"), ["no route"]),
        (OSError(errno.EPERM, "Operation not permitted"), ["Operation not permitted"]),
        (ConnectionResetError(), ["before the login"]),
        (EOFError(), ["before the login"]),
        (banner_error(TimeoutError()), ["no SSH server answers"]),
        (banner_error(EOFError()), ["before the login"]),
        (SSHException("Indecipherable protocol version"), ["Indecipherable protocol version"]),
        (IncompatiblePeer("no acceptable ciphers"), ["no acceptable ciphers"]),
        (AuthenticationException("Authentication timeout."), ["Authentication timeout."]),
        (ChannelException(2, "Connect failed"), ["bastion", "2222", "Connect failed"]),
        (KeysRefusedError(tried=("a", "b"), unusable=("c (encrypted)",)), ["ml", "a, b", "c (encrypted)"]),
        (KeysRefusedError(tried=(), unusable=()), ["no key"]),
    ],
)
def test_a_fault_is_told_with_its_facts(error: Exception, facts: list[str]) -> None:
    explained = explain(error, TARGET)
    assert "worker-0" in explained.message
    assert [fact for fact in facts if fact not in explained.message] == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (banner_error(EOFError()), True),
        (banner_error(ConnectionResetError()), True),
        (banner_error(TimeoutError()), False),
        (ConnectionRefusedError(), False),
        (AuthenticationException(), False),
    ],
)
def test_only_a_hang_up_before_the_hello_is_tried_again(error: Exception, *, expected: bool) -> None:
    assert is_worth_retrying(error) is expected


def test_an_exception_that_no_connection_raises_is_a_bug() -> None:
    with pytest.raises(TypeError):
        explain(KeyError("x"), TARGET)
