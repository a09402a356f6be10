"""Compile DeepSpeed's ops with its own builders, but for the CPU level that was asked for.

    python build_ops.py MARCH SIMD KEEP|STRIP op NAME BUILD_TEMP STOP_FILE
    python build_ops.py MARCH SIMD KEEP|STRIP setup ARGUMENT ...

Runs in the root of a DeepSpeed tree, in the build environment. `op` compiles one op into build/lib.*, with its objects
in a folder of its own (extensions that share one overwrite each other's), and ends itself with all its compilers when
STOP_FILE appears. `setup` runs `setup.py ARGUMENT ...`. The last line told is the result as JSON.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import runpy
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path
from typing import Any

FAR_FUTURE = 4102444800
"""2100: newer than any source, so that setup.py does not compile an op again whatever the clocks say."""


def main() -> None:
    """Do what the command line says.

    DeepSpeed 0.19 has no switch for the CPU level: op_builder/builder.py, `cpu_arch()` and `simd_width()`.
    """
    march, simd, debug, task, *arguments = sys.argv[1:]
    sys.path[0] = str(Path.cwd())
    # op_builder would import the tree's whole deepspeed if the host happens to have all that it needs.
    sys.modules["deepspeed"] = None  # type: ignore[assignment]
    ops = importlib.import_module("op_builder.all_ops").ALL_OPS
    modules: dict[str, str] = {}
    for name, op in ops.items():
        op.cpu_arch = lambda: march
        op.simd_width = lambda: simd
        op.builder = corrected(name, op, modules, keeps_debug=debug == "KEEP")
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where ninja is
    result = compile_op(ops[arguments[0]], *arguments[1:]) if task == "op" else run_setup(arguments, modules)
    sys.stdout.write(f"\ndsdeploy-result {json.dumps(result)}\n")


def corrected(name: str, op: Any, modules: dict[str, str], *, keeps_debug: bool) -> Any:  # noqa: ANN401 - DeepSpeed's
    """Return the op's `builder()`, but linked as it must be, without debug sections, and noting the module's name."""
    make_extension = op.builder

    def make() -> Any:  # noqa: ANN401 - setuptools'
        extension = make_extension()
        modules[name] = extension.name
        # DeepSpeed 0.19's op_builder/cpu/builder.py forgets them, and async_io then lacks io_submit(). Not its
        # -fopenmp: torch brings an OpenMP of its own.
        wanted = [flag for flag in op.extra_ldflags() if flag.startswith(("-l", "-L"))]
        extension.extra_link_args += [flag for flag in wanted if flag not in extension.extra_link_args]
        if not keeps_debug:  # upstream asks for -g: a third of the compile time and nine tenths of the wheel
            extension.extra_compile_args["cxx"].append("-g0")
            extension.extra_link_args.append("-Wl,--strip-all")
        return extension

    return make


def compile_op(op: Any, build_temp: str, stop_file: str) -> dict[str, str]:  # noqa: ANN401 - DeepSpeed's
    """Compile one op and return its digest."""
    threading.Thread(target=end_when_there_is, args=(Path(stop_file),), daemon=True).start()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")  # setuptools tells its commands
    accelerator = importlib.import_module("accelerator").get_accelerator()
    extension = op.builder()
    use_ninja = os.environ["MAX_JOBS"] != "1" and len(extension.sources) > 1  # it refuses an op without sources
    build_extension = accelerator.build_extension().with_options(use_ninja=use_ninja)
    command = build_extension(importlib.import_module("setuptools").Distribution({"ext_modules": [extension]}))
    command.build_temp = build_temp
    command.ensure_finalized()
    command.run()
    (library,) = command.get_outputs()
    os.utime(library, (FAR_FUTURE, FAR_FUTURE))
    return {"sha256": hashlib.sha256(Path(library).read_bytes()).hexdigest()}


def end_when_there_is(stop_file: Path) -> None:
    """Wait for the file, then kill this process and its compilers."""
    while not stop_file.exists():
        time.sleep(0.2)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def run_setup(arguments: list[str], modules: dict[str, str]) -> dict[str, Any]:
    """Run the tree's setup.py and return its wheel, what it put in, and with which compiler."""
    sys.argv = ["setup.py", *arguments]
    runpy.run_path("setup.py", run_name="__main__")
    (wheel,) = Path.cwd().glob("dist/*.whl")
    return {"wheel": str(wheel), "modules": modules, "compilers": compilers()}


def compilers() -> dict[str, str]:
    """Return what the C++ compiler that setuptools takes says of itself."""
    program = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX"))[0]
    return {"c++": subprocess.check_output([program, "--version"], universal_newlines=True).splitlines()[0]}


if __name__ == "__main__":
    main()
