"""Decides which address every host has in each network, and which port is free for a cluster."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack

MAX_HOSTS = 1000
CONTROLLER_ADDRESS = "10.77.0.1"
CONTROLLER_HARDWARE_ADDRESS = "02:77:ff:ff:ff:ff"
PREFIX_LENGTH = 16
FIRST_PORT = 22022
LAST_PORT = 22999
_PER_BLOCK = 250


def inside_address(index: int) -> str:
    """Return the address of a host inside the namespaces' network, 10.77.0.0/16."""
    block, place = divmod(index + 10, _PER_BLOCK)
    return f"10.77.{block}.{place + 1}"


def gateway_address(index: int) -> str:
    """Return the loopback address at which the gateway answers for a host."""
    block, place = divmod(index, _PER_BLOCK)
    return f"127.77.{block}.{place + 1}"


def loopback_address(index: int) -> str:
    """Return the loopback address of a host where there are no namespaces."""
    block, place = divmod(index, _PER_BLOCK)
    return f"127.0.{block}.{place + 1}"


def hardware_address(index: int) -> str:
    """Return the link address of a host: known beforehand, so nobody has to ask for it with ARP."""
    return f"02:77:00:00:{index >> 8:02x}:{index & 0xFF:02x}"


def is_free(address: str, port: int) -> bool:
    """Tell whether nothing listens at the address and port, by binding it for a moment."""
    with ExitStack() as stack:
        probe = stack.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def choose_port(addresses: Iterable[str], *, is_free: Callable[[str, int], bool] = is_free) -> int | None:
    """Return the first port that is free at all the addresses, or None."""
    wanted = tuple(addresses)
    ports = range(FIRST_PORT, LAST_PORT + 1)
    return next((port for port in ports if all(is_free(address, port) for address in wanted)), None)
