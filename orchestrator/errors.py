"""The one tree of errors that users meet, with one exit code per kind."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; scripts and Slurm prologs branch on it."""

    DONE = 0
    BUG = 1
    USAGE = 2
    HOST = 3
    PLAN = 4
    BUILD = 5
    TRANSFER = 6
    INSTALL = 7
    VERIFY = 8
    ROLLBACK = 9
    PENDING = 10
    INTERRUPTED = 130


class DsdeployError(Exception):
    """An expected failure: what happened, where, with which values; `hint` says what to do about it."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DsdeployError):
    """The command line, or a value on it, cannot be used."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A hostfile, recipe or settings file has faults; all of a file's faults are told together."""

    def __init__(self, faults: tuple[ConfigFault, ...], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(fault) for fault in faults), hint=hint)
        self.faults = faults


class ConfigFault:
    """One fault in one file: `file:line: message`."""

    __slots__ = ("line", "message", "source")

    def __init__(self, *, source: str, line: int | None, message: str) -> None:
        self.source = source
        self.line = line
        self.message = message

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where}: {self.message}"


class HostError(DsdeployError):
    """A host is unreachable, refuses us, or cannot be read."""

    exit_code = ExitCode.HOST


class PlanError(DsdeployError):
    """No plan is possible, or a saved plan no longer fits the hosts."""

    exit_code = ExitCode.PLAN


class BuildError(DsdeployError):
    """A wheel could not be built."""

    exit_code = ExitCode.BUILD


class StoreError(DsdeployError):
    """The store is damaged, locked, or lacks what was asked for."""

    exit_code = ExitCode.TRANSFER


class TransferError(DsdeployError):
    """Bytes did not arrive whole."""

    exit_code = ExitCode.TRANSFER


class LockedError(DsdeployError):
    """Another deployment has a host at this moment; the message names its owner."""

    exit_code = ExitCode.TRANSFER


class InstallError(DsdeployError):
    """A wheel could not be staged or activated on a host."""

    exit_code = ExitCode.INSTALL


class VerifyError(DsdeployError):
    """An installed wheel does not do what its manifest says."""

    exit_code = ExitCode.VERIFY


class RollbackError(DsdeployError):
    """A host could not be brought to one of its two states; the message says which host is in which."""

    exit_code = ExitCode.ROLLBACK


class StoppedError(DsdeployError):
    """Somebody stopped the run: Ctrl-C, SIGTERM, SIGHUP."""

    exit_code = ExitCode.INTERRUPTED
