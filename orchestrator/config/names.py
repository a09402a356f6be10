"""What may be a host's name, a user, an interpreter: nothing that a program could take for an option or a command."""

from __future__ import annotations

_SHELL_CHARACTERS = frozenset("'`\"$\\;&<>|(){}")
"""What OpenSSH refuses in a host name (ssh.c valid_hostname, 9.6): it may end up in a ProxyCommand."""


def quoted(text: str) -> str:
    """Return text as a message may show it: in quotes, control characters escaped, at most 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def fault_of_host(name: str) -> str | None:
    """Return what is wrong with a host's name; None when nothing is."""
    return _fault_of(name, "host name", refused=_SHELL_CHARACTERS | {"/"})


def fault_of_user(name: str) -> str | None:
    """Return what is wrong with a login name; unlike in a host's, a backslash is allowed (a Windows domain)."""
    return _fault_of(name, "user", refused=_SHELL_CHARACTERS - {"\\"} | {"/"})


def fault_of_python(path: str) -> str | None:
    """Return what is wrong with an interpreter's path or name."""
    return _fault_of(path, "interpreter", refused=frozenset("'\"`"))


def _fault_of(text: str, what: str, *, refused: frozenset[str]) -> str | None:
    if not text:
        return f"the {what} is empty"
    if text.startswith("-"):
        return f"the {what} {quoted(text)} begins with `-`: programs would take it for an option"
    if not text.isprintable() or " " in text:
        return f"the {what} {quoted(text)} holds a space or a control character"
    found = sorted(refused & set(text))
    return f"the {what} {quoted(text)} holds {' '.join(found)}" if found else None
