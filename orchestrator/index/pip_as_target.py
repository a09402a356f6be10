"""Runs pip as it would run on the target: `pip_as_target.py PYTHON_VERSION MACHINE [pip's arguments]`.

A program of its own, started by path. pip's `--python-version` and `--platform` choose files, but markers such as
`python_version < "3.10"` follow the interpreter that runs pip (pip issue 11010), which asks the `platform` module.
"""

import platform
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Set what markers are read from, then become pip."""
    _program, version, machine, *arguments = sys.argv
    platform.python_version = lambda: version
    platform.python_version_tuple = lambda: tuple(version.split(".", 2))  # type: ignore[assignment, return-value]
    platform.machine = lambda: machine
    own_folder = str(Path(__file__).parent)
    sys.path[:] = [entry for entry in sys.path if entry != own_folder]
    sys.argv = ["pip", *arguments]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
