"""The reporter for people: a live display on a terminal, plain lines in a log; both on standard error."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType

from rich.console import Console
from rich.live import Live

from orchestrator.model.events import Event
from orchestrator.report.drawing import draw_progress
from orchestrator.report.lines import Medium, Verbosity, leaves_line, line_of
from orchestrator.report.page import Drawing
from orchestrator.report.progress import Progress, fold

_REFRESHES_PER_S = 10


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
    """

    def __init__(self, console: Console, *, verbosity: Verbosity = Verbosity.NORMAL) -> None:
        self._console = console
        self._verbosity = verbosity
        self._lock = threading.Lock()
        self._progress = Progress()
        is_live = console.is_interactive and verbosity is not Verbosity.QUIET
        self._medium = Medium.LIVE if is_live else Medium.LOG
        self._live = Live(
            Drawing(lambda page: draw_progress(self._progress, console.get_time(), page)),
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
        return self._progress

    def emit(self, event: Event) -> None:
        """Take one event and print the line that it leaves, if any; a full disk or a lost terminal stops no work."""
        with self._lock:
            progress = self._progress = fold(self._progress, event, self._console.get_time())
            if leaves_line(event, self._verbosity, self._medium):
                with contextlib.suppress(OSError):
                    told = Drawing(lambda page: line_of(event, progress, page.marks))
                    self._console.print(told, soft_wrap=True)
