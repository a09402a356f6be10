"""Make a CUDA_HOME of links out of a toolkit's folders and of what torch brings along.

    PYTHON -I link_cuda_home.py '{"folder": NEW, "roots": [FOLDER, ...], "compiler": CC, "stage_cache": null | {...}}'

PYTHON is the build environment's: it finds the wheels of NVIDIA that torch came with. `stage_cache` is
{"script": FILE, "folder": FOLDER}: nvcc's inner tools are then started through that script. The last line told is the
result as JSON.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

TARGETS = {"x86_64": ("x86_64-linux",), "aarch64": ("sbsa-linux", "aarch64-linux")}
"""Machine → where a toolkit keeps headers and libraries for it, under `targets/`."""
INNER_TOOLS = ("bin/cudafe++", "bin/ptxas", "nvvm*/bin/cicc")
"""What takes the time of an nvcc run, beside the host compiler."""


def main() -> None:
    """Make the folder and tell what is in it."""
    order = json.loads(sys.argv[1])
    home, roots = Path(order["folder"]), [Path(root) for root in order["roots"]]
    link_toolkit(home, roots)
    has_own_stub = make_stub(home, order["compiler"])
    if order["stage_cache"]:
        start_tools_through(home, **order["stage_cache"])
    result = {"nvcc_version": ask_nvcc(home), "has_own_stub": has_own_stub, "libraries": count_libraries(home)}
    sys.stdout.write(f"\ndsdeploy-result {json.dumps(result)}\n")


def link_toolkit(home: Path, roots: list[Path]) -> None:
    """Link all that the roots have, and after them what torch brings."""
    brought = brought_by_torch()
    targets = [target_of(root) for root in roots]
    libraries = [target / ("lib64" if (target / "lib64").is_dir() else "lib") for target in targets]
    merge(home / "bin", [root / "bin" for root in roots])
    for name in sorted({folder.name for root in roots for folder in root.glob("nvvm*")}):  # some have a second one
        merge(home / name, [root / name for root in roots])
    merge(home / "include", [folder / "include" for folder in (*targets, *brought)])
    add_development_links(home / "lib64", merge(home / "lib64", [*libraries, *(folder / "lib" for folder in brought)]))
    (home / "lib").symlink_to("lib64")


def target_of(root: Path) -> Path:
    """Return where a toolkit's `include` and `lib` are; its nvcc.profile looks there too: `$(TOP)/$(_TARGET_DIR_)`."""
    folders = [root / "targets" / name for name in TARGETS.get(os.uname().machine, ())]
    return next(filter(Path.is_dir, folders), root)


def brought_by_torch() -> list[Path]:
    """Return the folders of NVIDIA's wheels that this interpreter sees: `nvidia/cu13`, or one for each part."""
    return [folder for entry in sys.path for folder in sorted(Path(entry, "nvidia").glob("*")) if folder.is_dir()]


def merge(target: Path, sources: list[Path]) -> list[str]:
    """Fill the new folder with links to what the sources have, and return the names, those of the first source first.

    The first source wins; a folder to which others add something becomes a folder of links itself.
    """
    target.mkdir(parents=True)
    found: dict[str, list[Path]] = {}
    for source in filter(Path.is_dir, sources):
        for entry in sorted(source.iterdir()):
            found.setdefault(entry.name, []).append(entry)
    for name, entries in found.items():
        first, *others = entries
        known = names_below(first) if others else set()
        adding = [other for other in others if first.is_dir() and names_below(other) - known]
        if adding:
            merge(target / name, [first, *adding])
        else:
            (target / name).symlink_to(first)
    return list(found)


def names_below(folder: Path) -> set[str]:
    """Return the relative paths of all that is in a folder; none for a file."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def open_up(folder: Path) -> Path:
    """Turn a link to a folder into a folder of links, so that something can be put there."""
    if folder.is_symlink():
        source = end_of(folder)
        folder.unlink()
        merge(folder, [source])
    folder.mkdir(exist_ok=True)
    return folder


def end_of(link: Path) -> Path:
    """Return where a link leads."""
    return Path(os.readlink(str(link)))  # noqa: PTH115 - Path.readlink is of Python 3.9


def add_development_links(libraries: Path, names: list[str]) -> None:
    """Give the linker `libX.so` where there is only `libX.so.N`: NVIDIA's wheels lack it."""
    for name in names:
        match = re.match(r"(lib.+\.so)\.[\d.]+$", name)
        if match and not (libraries / match[1]).exists():
            (libraries / match[1]).symlink_to(name)


def make_stub(home: Path, compiler: str) -> bool:
    """Make sure of a libcuda to link with, where no driver is installed; return whether one had to be compiled.

    It needs symbols: the linker drops an empty library (`--as-needed`). cuda.h renames many functions, so every name in
    it counts: `#define cuMemAlloc cuMemAlloc_v2`.
    """
    stubs = home / "lib64" / "stubs"
    if (stubs / "libcuda.so").exists():
        return False
    header = home / "include" / "cuda.h"
    if not header.is_file():
        sys.exit("the toolkit has no cuda.h")
    names = sorted(set(re.findall(r"\bcu[A-Z]\w*", header.read_text(encoding="utf-8", errors="replace"))))
    source = "".join(f"void {name}(void) {{}}\n" for name in names)
    options = ["-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libcuda.so.1"]
    library = str(open_up(stubs) / "libcuda.so")
    subprocess.run([compiler, *options, "-x", "c", "-", "-o", library], input=source.encode(), check=True)
    return True


def start_tools_through(home: Path, script: str, folder: str) -> None:
    """Put a launcher in the place of each inner tool: `PYTHON -IS SCRIPT FOLDER REAL_TOOL ARGUMENT ...`."""
    for nvvm in home.glob("nvvm*"):
        open_up(open_up(nvvm) / "bin")
    for tool in [tool for pattern in INNER_TOOLS for tool in home.glob(pattern)]:
        words = (sys.executable, "-IS", script, folder, str(end_of(tool)))
        tool.unlink()
        tool.write_text(f'#!/bin/sh\nexec {" ".join(map(shlex.quote, words))} "$@"\n', encoding="utf-8")
        tool.chmod(0o700)


def ask_nvcc(home: Path) -> str:
    """Return the version of nvcc, which must find its parts in this folder when it is called by a relative path."""
    nvcc = home / "bin" / "nvcc"
    if not nvcc.exists():
        sys.exit("the toolkit has no bin/nvcc")
    top = answer(home, r"^#\$ TOP=(.+)$", "--dryrun", "-x", "cu", "--compile", "/dev/null")
    if (home / top).resolve() != home.resolve():
        sys.exit(f"{nvcc.resolve()} is a part of {top}, not of the toolkit that it lies in")
    return answer(home, r"release [\d.]+, V([\d.]+)", "--version")


def answer(home: Path, pattern: str, *arguments: str) -> str:
    """Return what the pattern finds in what nvcc says."""
    ended = subprocess.run(
        ["bin/nvcc", *arguments],
        cwd=str(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    match = re.search(pattern, ended.stdout, re.MULTILINE)
    if match is None:
        sys.exit(f"nvcc {' '.join(arguments)}: {ended.stdout.strip() or f'ended with {ended.returncode}'}")
    return match[1]


def count_libraries(home: Path) -> int:
    """Return how many names the linker finds."""
    return sum(entry.suffix == ".a" or ".so" in entry.suffixes for entry in (home / "lib64").iterdir())


if __name__ == "__main__":
    main()
