"""Write the file of `verify --junit`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.errors import UsageError
from orchestrator.model.outcome import Outcome
from orchestrator.model.verification import Verification
from orchestrator.report.junit import junit_xml


def write_junit(path: Path, verifications: Mapping[str, Verification], failures: Sequence[Outcome[object]]) -> None:
    """Write what was found, whole or not at all. Raises UsageError."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".dsdeploy-") as folder:
            part = Path(folder, path.name)
            part.write_bytes(junit_xml(verifications, failures))
            part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
