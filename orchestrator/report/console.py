"""The reporter for people: a live display on a terminal, plain lines in a log; both on standard error."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType

from rich.console import Console
from rich.live import Live

from orchestrator.model.events import Event, HostProgress, TopologyPlanned
from orchestrator.report.drawing import draw_progress
from orchestrator.report.lines import Medium, Verbosity, leaves_line, line_of
from orchestrator.report.page import Drawing
from orchestrator.report.progress import Progress, fold, fold_works
from orchestrator.report.topology import draw_topology

_REFRESHES_PER_S = 10
_MOST_UNFOLDED = 256


class ErrorConsole(Console):
    """A console on standard error that falls silent when nobody reads it any more.

    Rich's own ends the program then, and points standard output, where a JSON document may be due, at /dev/null.
    """

    def __init__(self) -> None:
        super().__init__(stderr=True)

    def on_broken_pipe(self) -> None:
        """Write nothing from now on."""
        self.quiet = True


class ConsoleReporter:
    """A `Reporter` on a rich console; enter it to start the live display, leave it to get the terminal back.

    The display is there only on an interactive terminal, and not when QUIET. Print tables after leaving it.
    `shows_topology` draws who takes from whom before files go.
    """

    def __init__(
        self, console: Console, *, verbosity: Verbosity = Verbosity.NORMAL, shows_topology: bool = False
    ) -> None:
        self._console = console
        self._verbosity = verbosity
        self._shows_topology = shows_topology
        self._telling = threading.Lock()
        self._folding = threading.Lock()
        """Never held while rich works, whose own locks are held where the live display asks for the progress."""
        self._progress = Progress()
        self._unfolded: list[HostProgress] = []
        is_live = console.is_interactive and verbosity is not Verbosity.QUIET
        self._medium = Medium.LIVE if is_live else Medium.LOG
        self._live = Live(
            Drawing(lambda page: draw_progress(self.progress, console.get_time(), page)),
            console=console,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> ConsoleReporter:  # noqa: PYI034 - Python 3.10 has no typing.Self
        if self._medium is Medium.LIVE:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    @property
    def progress(self) -> Progress:
        """The state after the last event."""
        with self._folding:
            return self._fold_works()

    def emit(self, event: Event) -> None:
        """Take one event and print what it leaves, if anything; a full disk or a lost terminal stops no work."""
        if isinstance(event, HostProgress):
            self._keep(event)
            return
        with self._telling:
            with self._folding:
                progress = self._progress = fold(self._fold_works(), event, self._console.get_time())
            told = self._told(event, progress)
            if told is not None:
                with contextlib.suppress(OSError):
                    self._console.print(told, soft_wrap=True)

    def _keep(self, event: HostProgress) -> None:
        """Fold it with others at once: by itself each would copy the state of a thousand hosts."""
        with self._folding:
            self._unfolded.append(event)
            if len(self._unfolded) >= _MOST_UNFOLDED:
                self._fold_works()

    def _fold_works(self) -> Progress:
        if self._unfolded:
            self._progress = fold_works(self._progress, self._unfolded, self._console.get_time())
            self._unfolded.clear()
        return self._progress

    def _told(self, event: Event, progress: Progress) -> Drawing | None:
        if isinstance(event, TopologyPlanned):
            return Drawing(lambda _: draw_topology(event.topology)) if self._shows_topology else None
        if leaves_line(event, self._verbosity, self._medium):
            return Drawing(lambda page: line_of(event, progress, page.marks))
        return None
