"""Make the adapters that a command works with, from its options and the environment."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property

from orchestrator.cli.options import Building, Output, Targets
from orchestrator.cli.user_files import find_recipe_folders, load_hosts, open_store, read_settings
from orchestrator.config.recipes import load_recipe
from orchestrator.errors import UsageError
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.deployment import DeploymentIdentity
from orchestrator.model.events import LogLine
from orchestrator.model.facts import Facts
from orchestrator.model.outcome import Outcomes
from orchestrator.model.recipe import BuildStrategy, Recipe
from orchestrator.ports import Remote
from orchestrator.remote.dial import DialSettings
from orchestrator.remote.fleet import SshFleet
from orchestrator.remote.local import open_local
from orchestrator.remote.star import StarCarrier
from orchestrator.report.console import ConsoleReporter, ErrorConsole
from orchestrator.report.lines import Verbosity
from orchestrator.stages.build import BuildFolders, BuildPorts
from orchestrator.stages.deploy import DeployPorts
from orchestrator.stages.probe import probe, read_facts, target_python
from orchestrator.store.folder import FolderStore


def make_identity() -> DeploymentIdentity:
    """Return who deploys, and when: now."""
    now = datetime.now(timezone.utc)
    return DeploymentIdentity(
        id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started_at=now.isoformat(timespec="seconds"),
        author=f"{getpass.getuser()}@{socket.gethostname()}",
    )


class Run:
    """The adapters of one command, each made at first use; whatever was opened is closed at the end."""

    def __init__(self, targets: Targets, output: Output, stack: ExitStack) -> None:
        self._targets = targets
        self._stack = stack
        self.progress = ConsoleReporter(ErrorConsole(), verbosity=_verbosity(output))
        """Enter it around work that takes time, leave it before a result is printed."""
        self.settings = read_settings()
        self.hosts = load_hosts(targets)

    @cached_property
    def fleet(self) -> SshFleet:
        """The hosts, connected to at first use."""
        settings = DialSettings(
            ssh_config=self._targets.ssh_config, accept_new_host_keys=self._targets.accept_new_host_keys
        )
        return self._stack.enter_context(SshFleet(self.hosts, settings=settings))

    @cached_property
    def store(self) -> FolderStore:
        """This user's store of wheels."""
        return open_store(self.progress)

    @cached_property
    def index(self) -> PipIndex:
        """The configured package index."""
        return PipIndex(self.settings.cache_folder / "index", environ=os.environ, on_line=self._tell_index)

    @cached_property
    def _controller(self) -> Remote:
        session = open_local()
        self._stack.callback(session.close)
        return session

    def controller(self) -> Remote:
        """Return the controller's own agent."""
        return self._controller

    @cached_property
    def _controller_facts(self) -> Facts:
        return read_facts(self._controller, sys.executable)

    def controller_facts(self) -> Facts:
        """Return what the controller itself is."""
        return self._controller_facts

    def probe(self, python: str | None) -> Outcomes[Facts]:
        """Ask every host what it is."""
        with self.progress:
            return probe(self.hosts, python=python, fleet=self.fleet, reporter=self.progress)

    def pythons(self, recipe: Recipe) -> dict[str, str]:
        """Return host → target interpreter."""
        wished = self._targets.python or recipe.python
        return {host.name: target_python(host, wished) for host in self.hosts}

    @property
    def build_ports(self) -> BuildPorts:
        """What building acts through; makes its folders."""
        cache = self.settings.cache_folder
        work, logs = cache / "work", self.settings.state_folder / "logs"
        for folder in (work, logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return BuildPorts(
            fleet=self.fleet,
            controller=self.controller,
            store=self.store,
            index=self.index,
            reporter=self.progress,
            folders=BuildFolders(work=work, logs=logs, cache=cache),
        )

    @property
    def deploy_ports(self) -> DeployPorts:
        """What deploying acts through."""
        return DeployPorts(
            fleet=self.fleet,
            carrier=StarCarrier(),
            store=self.store,
            index=self.index,
            reporter=self.progress,
        )

    def recipe(self, building: Building) -> Recipe:
        """Return the recipe that was asked for, its source pinned. Raises UsageError, ConfigError, TransferError."""
        recipe = load_recipe(building.recipe, folders=find_recipe_folders())
        recipe = replace(recipe, source=self.index.resolve(recipe.source))
        if building.strategy is None:
            return recipe
        return replace(recipe, strategy=_strategy(building.strategy))

    def _tell_index(self, line: str) -> None:
        self.progress.emit(LogLine(source="index", text=line))


@contextmanager
def open_run(targets: Targets, output: Output) -> Iterator[Run]:
    """Open what a command works with; at the end its connections are closed."""
    with ExitStack() as stack:
        yield Run(targets, output, stack)


def _verbosity(output: Output) -> Verbosity:
    if output.debug:
        return Verbosity.DEBUG
    return Verbosity.QUIET if output.quiet else Verbosity.NORMAL


def _strategy(word: str) -> BuildStrategy:
    try:
        return BuildStrategy(word)
    except ValueError:
        known = ", ".join(strategy.value for strategy in BuildStrategy)
        raise UsageError(f"--strategy {word}: no such strategy", hint=f"there are: {known}") from None
