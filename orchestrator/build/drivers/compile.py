"""Run one compiler or linker command and tell what it took.

    python -I -S compile.py STOP_FILE KEEP_FOLDER ARGUMENT ...

Runs in the root of a DeepSpeed tree, with paths relative to it: then equal sources give equal bytes wherever the tree
lies. What the command says is passed on as it comes, in English. nvcc is told to put its intermediate files into
KEEP_FOLDER, which is gone afterwards: elsewhere it names them by process id, and the objects tell the names. The last
line told is the result as JSON. The exit code is the command's; 128 + N when signal N ended it. When STOP_FILE appears,
the compilers are ended, and then this program by the same signal.
"""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import takewhile
from pathlib import Path
from typing import Any

KILLED = re.compile(
    rb"Killed signal terminated program"  # gcc, of cc1plus
    rb"|terminated with signal 9"  # gcc, of ld
    rb"|died due to signal 9"  # nvcc, of its inner programs
    rb"|unable to execute command: Killed"  # clang
)
PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}


def main() -> None:
    """Run the command of the command line."""
    stop_file, keep, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    signal.signal(signal.SIGTERM, raise_stopped)
    threading.Thread(target=stop_when_there_is, args=(stop_file,), daemon=True).start()
    try:
        result = run_nvcc(command, keep) if is_nvcc(command) else {**run(command), "stages": []}
    except Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise
    sys.stdout.write(f"\ndsdeploy-result {json.dumps(result)}\n")
    sys.exit(result["returncode"] if result["returncode"] >= 0 else 128 - result["returncode"])


class Stopped(BaseException):
    """The build is stopped."""


def raise_stopped(*_: object) -> None:
    """Answer SIGTERM."""
    raise Stopped


def stop_when_there_is(stop_file: Path) -> None:
    """Wait for the file, then tell this process and its compilers to end."""
    while not stop_file.exists():
        time.sleep(0.2)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    else:  # the group is somebody else's
        os.kill(os.getpid(), signal.SIGTERM)


def is_nvcc(command: list[str]) -> bool:
    """Return whether the command is nvcc, called by itself or through ccache."""
    return "nvcc" in [Path(word).name for word in takewhile(lambda word: not word.startswith("-"), command)]


def run_nvcc(command: list[str], keep: Path) -> dict[str, Any]:
    """Run nvcc and return its result, with its stages; none when ccache answered."""
    times = keep / "time.csv"
    shutil.rmtree(keep, ignore_errors=True)  # of a build that was killed: nvcc appends to the times
    keep.mkdir(parents=True)
    try:
        # Joined by `=`: ccache takes a value that stands alone for an input file.
        result = run([*command, "--keep", f"--keep-dir={keep}", f"--time={times}"])
        return {**result, "stages": stages_of(times)}
    finally:
        shutil.rmtree(keep, ignore_errors=True)


def run(command: list[str]) -> dict[str, Any]:
    """Run a command, pass its output on, and return its result."""
    if "-o" in command[:-1]:
        Path(command[command.index("-o") + 1]).parent.mkdir(parents=True, exist_ok=True)
    is_killed = False
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    except OSError as error:
        sys.stdout.write(f"{command[0]}: {error.strerror}\n")
        return {"returncode": 127, "cpu_s": 0.0, "peak_memory_bytes": None, "is_killed": False}
    with process:
        for line in process.stdout or ():
            is_killed = is_killed or KILLED.search(line) is not None
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "returncode": process.returncode,
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        "peak_memory_bytes": used.ru_maxrss * 1024,  # kB on Linux, of the largest
        "is_killed": is_killed or process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL),
    }


def stages_of(times: Path) -> list[dict[str, Any]]:
    """Return nvcc's stages in the order in which they ran.

    `nvcc --time` (CUDA 13.0) writes columns: source, phase, inputs, output, arch, tool, metric, unit.
    """
    if not times.is_file():
        return []
    with times.open(encoding="utf-8", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file)]
    return [
        {"name": row[1], "gpu_arch": row[4], "elapsed_s": round(float(row[6]) / PER_SECOND[row[7]], 4)}
        for row in rows
        if len(row) == 8 and row[7] in PER_SECOND and row[1] != "nvcc (driver)"
    ]


if __name__ == "__main__":
    main()
