"""Load compiled ops, each in a process of its own, and say what went wrong.

    python load_ops.py '[{"op": NAME, "module": MODULE, "after": [MODULE, ...]}, ...]'

Runs in the root of a DeepSpeed tree whose ops lie in build/lib.*, in the build environment. `after` are the modules
whose symbols the op takes at load time. A builder without a driver has no libcuda: its stub stands in. The last line
told is the result as JSON: op → error, empty when it loads.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Load all ops of the command line."""
    importlib.import_module("torch")  # once: the processes below are forked from here
    result = {op["op"]: load_apart(op) for op in json.loads(sys.argv[1])}
    sys.stdout.write(f"\ndsdeploy-result {json.dumps(result)}\n")


def load_apart(op: dict[str, Any]) -> str:
    """Load one op in a new process and return its error."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.write(writing, load(op).encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        error = pipe.read()
    _, status = os.waitpid(process, 0)
    return f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else error


def load(op: dict[str, Any]) -> str:
    """Load one op into this process and return its error."""
    try:
        provide_libcuda()
        for module in op["after"]:  # as op_builder/pin_memory_load.py does, DeepSpeed 0.19
            ctypes.CDLL(path_of(module), mode=ctypes.RTLD_GLOBAL)
        spec = importlib.util.spec_from_file_location(op["module"], path_of(op["module"]))
        importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - whatever an op throws is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def provide_libcuda() -> None:
    """Load the stub where there is no driver, if this build has one: its soname then stands for libcuda.so.1."""
    stub = Path(os.environ.get("CUDA_HOME", ""), "lib64", "stubs", "libcuda.so")
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        if stub.exists():
            ctypes.CDLL(str(stub), mode=ctypes.RTLD_GLOBAL)


def path_of(module: str) -> str:
    """Return where a module was built."""
    (path,) = Path.cwd().glob("build/lib.*/" + module.replace(".", "/") + ".*.so")
    return str(path)


if __name__ == "__main__":
    main()
