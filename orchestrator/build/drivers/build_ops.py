"""Ask DeepSpeed's own builders how its ops are compiled, and let its own setup.py make the wheel of the compiled ops.

    python build_ops.py MARCH SIMD KEEP|STRIP commands RESULT_FILE NAME ...
    python build_ops.py MARCH SIMD KEEP|STRIP setup ARGUMENT ...

Runs in the root of a DeepSpeed tree, in the build environment. `commands` writes as JSON, for every op, the compiler
and linker commands that setuptools and torch would run; they run in the tree's root, and every path of this machine in
them is relative to it, by links in `.dsdeploy/`: so they are equal wherever the tree, torch and CUDA lie, and so are
the objects. `setup` runs `setup.py ARGUMENT ...`, for which every library in build/lib.* is up to date. The last line
told is the result as JSON.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

FAR_FUTURE = 4102444800
"""2100: newer than any source, so that setup.py does not compile an op again whatever the clocks say."""
LINKS = Path(".dsdeploy")
CUDA = str(LINKS / "cuda")
COMPILED = {".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".inl", ".inc"}
"""Suffixes of what a compiler may read in the tree."""
COMPILER_VARIABLES = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS")
"""What compilers heed beside their command line."""
EXTENSION_NAME = "TORCH_EXTENSION_NAME"
SAME_NAMES = (
    "-DCUB_DISABLE_NAMESPACE_MAGIC",
    "-DCUB_IGNORE_NAMESPACE_MAGIC_ERROR",
    "-DTHRUST_DISABLE_ABI_NAMESPACE",
    "-DTHRUST_IGNORE_ABI_NAMESPACE_ERROR",
)
"""Without them CUB and Thrust, which torch's headers bring along, have the list of archs in their namespaces: then no
text of a build for two archs equals one of a build for one. Where nobody uses CUB or Thrust nothing else changes."""


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
    if Path(CUDA).exists():
        os.environ["CUDA_HOME"] = str(Path.cwd() / CUDA)
    compiler = c_compiler(os.environ.get("CXX", ""))
    if shutil.which(compiler):
        os.environ.setdefault("CC", compiler)
    result = write_commands(ops, *arguments) if task == "commands" else run_setup(arguments, modules)
    sys.stdout.write(f"\ndsdeploy-result {json.dumps(result)}\n")


def c_compiler(cxx: str) -> str:
    """Return the C compiler beside a C++ compiler: `g++-12` → `gcc-12`, `clang++` → `clang`, `c++` → `cc`.

    op_builder looks for libraries with C programs, which a C++ compiler would give other symbols.
    """
    folder, slash, name = cxx.rpartition("/")
    for plus, plain in (("clang++", "clang"), ("g++", "gcc"), ("c++", "cc")):
        if plus in name:
            return folder + slash + name.replace(plus, plain)
    return cxx


def corrected(name: str, op: Any, modules: dict[str, str], *, keeps_debug: bool) -> Any:  # noqa: ANN401 - DeepSpeed's
    """Return the op's `builder()`, but linked as it must be, without debug sections, and noting the module's name."""
    make_extension = op.builder
    archs = os.environ.get("TORCH_CUDA_ARCH_LIST")

    def make() -> Any:  # noqa: ANN401 - setuptools'
        if archs:  # the op before may have left out archs of its own: compute_capability_args() writes it back
            os.environ["TORCH_CUDA_ARCH_LIST"] = archs
        extension = make_extension()
        modules[name] = extension.name
        # DeepSpeed 0.19's op_builder/cpu/builder.py forgets them, and async_io then lacks io_submit(). Not its
        # -fopenmp: torch brings an OpenMP of its own.
        wanted = [flag for flag in op.extra_ldflags() if flag.startswith(("-l", "-L"))]
        extension.extra_link_args += [flag for flag in wanted if flag not in extension.extra_link_args]
        if not keeps_debug:  # upstream asks for -g: a third of the compile time and nine tenths of the wheel
            extension.extra_compile_args["cxx"].append("-g0")
            extension.extra_link_args.append("-Wl,--strip-all")
            nvcc = extension.extra_compile_args.get("nvcc", [])
            nvcc[:] = [flag for flag in nvcc if flag not in ("-lineinfo", "-g")]
        return extension

    return make


def write_commands(ops: dict[str, Any], result_file: str, *names: str) -> dict[str, str]:
    """Write the commands of the named ops, and what else their libraries depend on."""
    paths, macros = link_paths(), cuda_macros()
    commands = {name: commands_of(name, ops[name], paths, macros) for name in names}
    private = {folder for folder in (*paths, str(Path.home()), str(Path.cwd())) if not is_everywhere(folder)}
    result = {"ops": commands, "identity": identity(), "private_paths": sorted(private)}
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")
    return {"path": result_file}


def is_everywhere(folder: str) -> bool:
    """Return whether a folder of the system says nothing of this machine."""
    return folder == "/" or f"{folder}/".startswith("/usr/")


def commands_of(
    name: str,
    op: Any,  # noqa: ANN401 - DeepSpeed's
    paths: dict[str, str],
    macros: tuple[str, ...],
) -> dict[str, Any]:
    """Return one op's commands, or as `error` why its builder has none."""
    recorded: list[list[str]] = []
    try:
        if not op.is_compatible():  # setup.py would leave it out when all is compiled
            return {"error": f"its is_compatible() says no: {getattr(op, 'error_log', None) or 'nothing more'}"}
        extension = op.builder()
        command = recorder(recorded)(importlib.import_module("setuptools").Distribution({"ext_modules": [extension]}))
        command.build_temp = f"build/objects/{name}"
        command.ensure_finalized()
        command.run()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it throws is the answer
        return {"error": f"{type(error).__name__}: {error}"}
    (library,) = command.get_outputs()
    *compiles, link = [relative(words, paths) for words in recorded]
    return {
        "module": extension.name,
        "library": library,
        "jobs": [job_of(words, macros) for words in compiles],
        "link": link_words(link, library),
    }


def recorder(recorded: list[list[str]]) -> Any:  # noqa: ANN401 - setuptools'
    """Return torch's `build_ext` that runs nothing; with ninja it would write its commands into a file instead."""
    build_extension = importlib.import_module("accelerator").get_accelerator().build_extension()

    class Recorder(build_extension.with_options(use_ninja=False)):  # type: ignore[misc]
        def build_extensions(self) -> None:
            self.force = True
            self.compiler.spawn = lambda words, **_: recorded.append([str(word) for word in words])
            super().build_extensions()

    return Recorder


def job_of(words: list[str], macros: tuple[str, ...]) -> dict[str, Any]:
    """Return one compilation; only a source that reads the module's name is given it, so that ops share the others."""
    source, target = words[words.index("-c") + 1], words[words.index("-o") + 1]
    reads_name = EXTENSION_NAME in Path(source).read_text(encoding="utf-8", errors="replace")
    meaningless = ("-l",) if reads_name else ("-l", f"-D{EXTENSION_NAME}=")  # gds names libraries here too
    argv = [word for word in words if not word.startswith(meaningless)]
    is_cuda = source.endswith(".cu")
    if is_cuda and not any(word.startswith(f"-I{LINKS}/packages") for word in argv):  # CUTLASS might name them
        argv += macros
    return {"source": source, "object": target, "argv": argv, "is_cuda": is_cuda}


def cuda_macros() -> tuple[str, ...]:
    """Return what CUDA sources are told: nothing of CUB and Thrust when the tree names them (0.19.8 does nowhere)."""
    uses_them = any(re.search(rb"\b(?:cub|thrust)(?:::|/)", path.read_bytes()) for path in sources())
    return () if uses_them else SAME_NAMES


def sources() -> list[Path]:
    """Return everything in the tree that a compiler may read."""
    found = (path for path in Path().rglob("*") if path.suffix in COMPILED and path.is_file())
    return sorted(path for path in found if path.parts[0] not in (str(LINKS), "build"))


def link_words(words: list[str], library: str) -> list[str]:
    """Return the linker's words without RPATHs of this machine; one into site-packages counts from the library."""
    _build, _lib, *folders, _file = Path(library).parts
    packages = "/".join(["$ORIGIN", *[".."] * len(folders)])
    runs = [word.replace(f"rpath,{LINKS}/packages", f"rpath,{packages}") for word in words]
    kept = [word for word in runs if "rpath," not in word or "rpath,$ORIGIN" in word]
    return [*kept, f"-L{CUDA}/lib64/stubs"] if Path(CUDA).exists() else kept


def link_paths() -> dict[str, str]:
    """Link what the commands name by absolute paths; return folder → its link in the tree."""
    LINKS.mkdir(exist_ok=True)
    torch = importlib.import_module("torch").__file__
    folders = {
        "torch": str(Path(torch or "").parent),
        "packages": sysconfig.get_path("purelib"),
        "python": sysconfig.get_path("include"),
        "platform": sysconfig.get_path("platinclude"),
        "environment": f"{sys.prefix}/include",
        "libpython": str(sysconfig.get_config_var("LIBDIR")),
    }
    for name, folder in folders.items():
        (LINKS / name).symlink_to(folder)
    return {folder: str(LINKS / name) for name, folder in reversed(folders.items())}


def relative(words: list[str], paths: dict[str, str]) -> list[str]:
    """Return a command's words with this machine's folders replaced, and without search folders that do not exist.

    nvcc's own threads go too: how much of the machine a compiler run takes is decided where they are scheduled.
    """
    folders = {**paths, str(Path.cwd()): "."}
    kept = [word for word in words if not word.startswith("--threads")]
    kept = [word for word in kept if not word.startswith(("-I", "-L")) or Path(word[2:]).is_dir()]
    for folder in sorted(folders, key=len, reverse=True):
        kept = [re.sub(rf"{re.escape(folder)}(?=/|$)", folders[folder], word) for word in kept]
    return kept


def identity() -> dict[str, str]:
    """Return what the libraries depend on beside their commands."""
    torch = importlib.import_module("torch.version")
    return {
        **compilers(),
        "libc": " ".join(platform.libc_ver()),
        "torch": f"{torch.__version__} {getattr(torch, 'git_version', None)}",
        "python": f"{sys.version.split()[0]} {sysconfig.get_config_var('SOABI')}",
        "sources": digest_of_sources(),
        **{name: os.environ[name] for name in COMPILER_VARIABLES if name in os.environ},
    }


def digest_of_sources() -> str:
    """Return the digest of everything in the tree that a compiler may read."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def run_setup(arguments: list[str], modules: dict[str, str]) -> dict[str, Any]:
    """Run the tree's setup.py and return its wheel, what it put in, and with which compilers."""
    for library in Path.cwd().glob("build/lib.*/**/*.so"):
        os.utime(library, (FAR_FUTURE, FAR_FUTURE))
    sys.argv = ["setup.py", *arguments]
    runpy.run_path("setup.py", run_name="__main__")
    (wheel,) = Path.cwd().glob("dist/*.whl")
    return {"wheel": str(wheel), "modules": modules, "compilers": compilers()}


def compilers() -> dict[str, str]:
    """Return what the compilers say of themselves."""
    cxx = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX"))
    found = {"c++": said_by(*cxx, "--version")[0]}
    return {**found, "nvcc": said_by(f"{CUDA}/bin/nvcc", "--version")[-1]} if Path(CUDA).exists() else found


def said_by(*command: str) -> list[str]:
    """Return the lines that a program says."""
    return subprocess.check_output(command, universal_newlines=True).strip().splitlines()


if __name__ == "__main__":
    main()
