"""Make the adapters that every command on hosts works with, each at first use."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property

from orchestrator.cli.options import Distribution, Output, Targets
from orchestrator.cli.user_files import load_hosts, read_settings
from orchestrator.cli.user_store import open_store
from orchestrator.model.events import LogLine, Note
from orchestrator.model.facts import Facts
from orchestrator.model.fanout import FanOutSettings
from orchestrator.model.hosts import Host
from orchestrator.model.outcome import Outcomes
from orchestrator.ports import Carrier, Fleet, Journal, PackageIndex, Remote, Store
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet
from orchestrator.remote.local import open_local
from orchestrator.report.console import ConsoleReporter, ErrorConsole
from orchestrator.report.lines import Verbosity
from orchestrator.stages.probe import probe, read_facts, target_python


class Run:
    """The adapters of one command; whatever was opened is closed at the end."""

    def __init__(
        self, targets: Targets, output: Output, stack: ExitStack, distribution: Distribution | None = None
    ) -> None:
        self._stack = stack
        self._connections = stack.enter_context(ExitStack())
        self.targets = targets
        self.progress = ConsoleReporter(
            ErrorConsole(),
            verbosity=_verbosity(output),
            shows_topology=distribution is not None and distribution.show_topology,
        )
        """Enter it around work that takes time."""
        self.settings = read_settings()
        self.hosts = load_hosts(targets)
        self.fan_out = self._fan_out(distribution) if distribution else FanOutSettings()
        self._started = time.monotonic()
        self._controller_facts: dict[str, Facts] = {}

    @property
    def elapsed_s(self) -> float:
        """How long the run has been going on."""
        return time.monotonic() - self._started

    @cached_property
    def fleet(self) -> Fleet:
        """The hosts, connected to at first use."""
        return self._connections.enter_context(self._make_fleet())

    def reopen_fleet(self) -> AbstractContextManager[Fleet]:
        """Return the same hosts over fresh connections, made at first use and closed at the end of its `with` block.

        Those of `fleet` are closed for good, whatever state they are in: their agents end, with all that still runs.
        """
        self._connections.close()
        return self._make_fleet()

    @cached_property
    def carrier(self) -> Carrier:
        """What brings files to the hosts."""
        from orchestrator.fanout.carrier import RelayCarrier  # not for a run that brings nothing

        return RelayCarrier(self.fan_out)

    @cached_property
    def store(self) -> Store:
        """This user's store of wheels."""
        return open_store(lambda text: self.progress.emit(Note(text=text)))

    @cached_property
    def journal(self) -> Journal:
        """What this user has deployed."""
        from orchestrator.cli.user_journal import open_journal  # not for a run that changes nothing

        return open_journal(lambda text: self.progress.emit(Note(text=text)))

    @cached_property
    def index(self) -> PackageIndex:
        """The configured package index."""
        from orchestrator.index.pip_index import PipIndex  # not for a run that fetches nothing

        return PipIndex(self.settings.cache_folder / "index", environ=os.environ, on_line=self._tell_index)

    @cached_property
    def _controller(self) -> Remote:
        session = open_local()
        self._stack.callback(session.close)
        return session

    def controller(self) -> Remote:
        """Return the controller's own agent."""
        return self._controller

    def controller_facts(self, python_tag: str) -> Facts:
        """Return what the controller itself is, with its interpreter of an ABI tag (`cp312`)."""
        if python_tag not in self._controller_facts:
            own = f"cp{sys.version_info.major}{sys.version_info.minor}{sys.abiflags}"
            python = sys.executable if python_tag == own else f"python{python_tag[2]}.{python_tag[3:]}"
            self._controller_facts[python_tag] = read_facts(self._controller, python)
        return self._controller_facts[python_tag]

    def probe(self, hosts: Sequence[Host], *, recipe_python: str | None) -> Outcomes[Facts]:
        """Ask hosts what they are."""
        python = self.targets.python or recipe_python
        with self.progress:
            return probe(hosts, python=python, fleet=self.fleet, reporter=self.progress)

    def pythons(self, *, recipe_python: str | None) -> dict[str, str]:
        """Return host → target interpreter."""
        python = self.targets.python or recipe_python
        return {host.name: target_python(host, python) for host in self.hosts}

    def _make_fleet(self) -> SshFleet:
        settings = DialSettings(
            ssh_config=self.targets.ssh_config, accept_new_host_keys=self.targets.accept_new_host_keys
        )
        return SshFleet(self.hosts, settings=settings)

    def _fan_out(self, distribution: Distribution) -> FanOutSettings:
        from orchestrator.cli.distributing import make_fan_out_settings  # not for a command that brings nothing

        return make_fan_out_settings(
            distribution,
            [host.name for host in self.hosts],
            on_note=lambda text: self.progress.emit(Note(text=text)),
        )

    def _tell_index(self, line: str) -> None:
        self.progress.emit(LogLine(source="index", text=line))


@contextmanager
def open_run(targets: Targets, output: Output, distribution: Distribution | None = None) -> Iterator[Run]:
    """Open what a command works with; at the end its connections are closed."""
    with ExitStack() as stack:
        yield Run(targets, output, stack, distribution)


def _verbosity(output: Output) -> Verbosity:
    if output.debug:
        return Verbosity.DEBUG
    return Verbosity.QUIET if output.quiet else Verbosity.NORMAL
