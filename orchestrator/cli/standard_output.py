"""Write to standard output, whoever reads it."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any


def write_document(document: Mapping[str, Any]) -> None:
    """Write the one document of a run."""
    write(lambda: print(json.dumps(document, indent=2)))


def write(say: Callable[[], object]) -> None:
    """Do what writes; a reader that went away (`| head`, a dying terminal) does not change how the run ends."""
    try:
        say()
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python's last flush goes too
