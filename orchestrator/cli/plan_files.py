"""Plans as files: written by `plan --out`, carried out by `provision --plan`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from orchestrator.errors import UsageError
from orchestrator.model.codec import DocumentError, from_document, to_document
from orchestrator.model.plan import PLAN_SCHEMA, DeployPlan

_HINT = "write a new plan: dsdeploy plan --out FILE"


def write_plan(plan: DeployPlan, path: Path) -> None:
    """Write a plan, whole or not at all. Raises UsageError."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".dsdeploy-") as folder:
            part = Path(folder, path.name)
            part.write_text(json.dumps(to_document(plan), indent=2), encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def read_plan(path: Path) -> DeployPlan:
    """Return the plan in a file. Raises UsageError when there is none, or none that this dsdeploy understands."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != PLAN_SCHEMA:
            raise UsageError(f"{path}: its schema is {schema}, not {PLAN_SCHEMA}", hint=_HINT)
        return from_document(DeployPlan, document)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from error
    except DocumentError as error:
        raise UsageError(f"{path}: {error}", hint=_HINT) from error
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}", hint=_HINT) from error
