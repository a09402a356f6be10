"""Says in one answer what `dsdeploy status` judges: what was committed here, and what is here now."""

from __future__ import annotations

from .drift import MOST_NAMED, deployed_python, find_edits
from .facts_gpus import find_gpus
from .gathering import gather
from .interpreter import describe_interpreter
from .ledger import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .processes import Children
    from .request import Request

_DEFAULT_PYTHON = "python3"


def status(request: Request) -> dict[str, Any]:
    """Return the document of the model's `Condition`.

    `python` is the interpreter's path or name; where it is null, it is the one that the newest deployment went into.
    Raises AgentError (host) when it is no Python that we can use.
    """
    python = request.optional("python", str) or deployed_python(request.cache) or _DEFAULT_PYTHON
    found, gpus = gather(lambda: _look(request, python, request.children), lambda: find_gpus(request.children))
    return {
        **found,
        "gpus": [gpu["name"] for gpu in gpus.gpus],
        "driver": next((gpu["driver"] for gpu in gpus.gpus), None),
        "notes": gpus.notes,
    }


def _look(request: Request, python: str, children: Children) -> dict[str, Any]:
    interpreter = describe_interpreter(python, children)
    ledger = Ledger.load(request.cache, interpreter["prefix"])
    edits = find_edits(interpreter, ledger.stamp)
    return {
        "python": interpreter["executable"],
        "ledger": ledger.document(),
        "deepspeed": interpreter["deepspeed"],
        "torch_version": interpreter["torch"] and interpreter["torch"]["version"],
        "edited_files": edits[:MOST_NAMED],
        "edited_count": len(edits),
    }
