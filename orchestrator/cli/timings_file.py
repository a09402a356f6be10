"""Write the page of `build --timings` beside the logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from orchestrator.cli.wiring import Run
from orchestrator.model.building import WheelResult
from orchestrator.model.events import Note
from orchestrator.report.timings.page import timings_page


def write_timings(run: Run, results: Sequence[WheelResult]) -> str | None:
    """Write one page about everything that was compiled, and return its path.

    None, with a note, when nothing was compiled or the page cannot be written: the wheels are there all the same.
    """
    builds = [result.timings for result in results if result.timings]
    if not builds:
        run.progress.emit(Note(text="no timings: nothing was built", hint="dsdeploy build --force --timings"))
        return None
    folder = run.settings.state_folder / "logs"
    path = folder / f"timings-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(timings_page(builds), encoding="utf-8")
    except OSError as error:
        run.progress.emit(Note(text=f"no timings: {path} cannot be written: {error.strerror}"))
        return None
    return str(path)
