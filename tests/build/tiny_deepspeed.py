"""A DeepSpeed of a few lines and a torch of a few bytes: real files, really compiled, in seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TORCH_VERSION = "2.13.0+cpu"

_MODULE = """
#include <Python.h>
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "{name}", 0, -1, 0}};
PyMODINIT_FUNC PyInit_{name}_op(void) {{ return PyModule_Create(&definition); }}
"""

TREE = {
    "version.txt": "0.19.8\n",
    "README.md": "",
    "deepspeed/__init__.py": "raise RuntimeError('a build must not import the tree')\n",
    "deepspeed/ops/__init__.py": "",
    "csrc/cpu_adam.c": _MODULE.format(name="cpu_adam"),
    "csrc/pin_memory.c": _MODULE.format(name="pin_memory") + "int pin_count(void) { return 1; }\n",
    "csrc/async_io.c": _MODULE.format(name="async_io")
    + "int pin_count(void);\nint aio_count(void) { return pin_count(); }\nint (*aio)(void) = pin_count;\n",
    "accelerator/__init__.py": """
from setuptools.command.build_ext import build_ext


class BuildExtension(build_ext):
    @classmethod
    def with_options(cls, use_ninja):
        return cls

    def build_extension(self, ext):
        if isinstance(ext.extra_compile_args, dict):
            ext.extra_compile_args = ext.extra_compile_args["cxx"]
        super().build_extension(ext)


class Accelerator:
    def build_extension(self):
        return BuildExtension


def get_accelerator():
    return Accelerator()
""",
    "op_builder/__init__.py": "",
    "op_builder/all_ops.py": """
from setuptools import Extension


class Builder:
    def __init__(self, name, sources):
        self.name = name
        self.BUILD_VAR = "DS_BUILD_" + name.upper()
        self.sources = sources

    def is_compatible(self):
        return True

    def cpu_arch(self):
        return "-march=native"

    def simd_width(self):
        return "-D__AVX512__"

    def extra_ldflags(self):
        return ["-lm", "-fopenmp"]

    def builder(self):
        flags = [self.cpu_arch(), self.simd_width(), "-g"]
        return Extension(f"deepspeed.ops.{self.name}_op", self.sources, extra_compile_args={"cxx": flags})


NAMES = ["cpu_adam", "async_io", "pin_memory"]
ALL_OPS = {name: Builder(name, [f"csrc/{name}.c"]) for name in NAMES}
ALL_OPS["not_implemented"] = Builder("not_implemented", [])
""",
    "setup.py": """
import os

from accelerator import get_accelerator
from op_builder.all_ops import ALL_OPS
from setuptools import find_packages, setup

default = int(os.environ.get("DS_BUILD_OPS") or 0)
installed_ops = {
    name: op.is_compatible() and int(os.environ.get(op.BUILD_VAR) or default) for name, op in ALL_OPS.items()
}
version = open("version.txt").read().strip() + os.environ["DS_BUILD_STRING"]
with open("deepspeed/git_version_info_installed.py", "w") as file:
    file.write(f"installed_ops={installed_ops}\\naccelerator_name='cpu'\\n")
setup(
    name="deepspeed",
    version=version,
    packages=find_packages(include=["deepspeed", "deepspeed.*"]),
    install_requires=["torch>=2.0.0", "numpy"],
    ext_modules=[ALL_OPS[name].builder() for name, is_on in installed_ops.items() if is_on],
    cmdclass={"build_ext": get_accelerator().build_extension().with_options(use_ninja=False)},
)
""",
}


def write_tree(folder: Path, **changes: str) -> Path:
    """Write the tree; a change names a file by its path with `__` for `/` and no suffix: `csrc__cpu_adam`."""
    by_name = {path.rpartition(".")[0].replace("/", "__"): path for path in TREE}
    for path, text in {**TREE, **{by_name[name]: text for name, text in changes.items()}}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def make_torch_python(folder: Path, *, torch_version: str = TORCH_VERSION) -> str:
    """Make a virtual environment whose torch is a stand-in, without pip, and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "torch").mkdir()
    (site_packages / "torch" / "__init__.py").write_text("", encoding="utf-8")
    (site_packages / "torch" / "version.py").write_text(f"__version__ = '{torch_version}'\n", encoding="utf-8")
    return str(folder / "bin" / "python")
