"""Ask the op builders of a DeepSpeed tree about a machine that is played: `python ask_op_builder.py WORLD`.

Runs in the tree's root, without torch. WORLD is JSON: `accelerator`, `torch`, `triton`, `cuda_home`, `libraries` (those
that can be linked), `archs`. Tells as JSON, for every op of the accelerator, what its builder says.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def main() -> None:
    """Print what the builders say."""
    world = json.loads(sys.argv[1])
    sys.path[0] = str(Path.cwd())
    play(world)
    with contextlib.redirect_stdout(sys.stderr):
        ops = importlib.import_module("op_builder.all_ops").ALL_OPS
        answers = {name: ask(builder, world) for name, builder in ops.items()}
    sys.stdout.write(json.dumps(answers))


def play(world: dict[str, Any]) -> None:
    """Put in the place of torch, triton and distutils what op_builder looks at of them."""
    os.environ["DS_ACCELERATOR"] = world["accelerator"]
    extension = make_module("torch.utils.cpp_extension", CUDA_HOME=world["cuda_home"], ROCM_HOME=None)
    utils = make_module("torch.utils", cpp_extension=extension)
    cuda = make_module("torch.cuda", is_available=lambda: False, is_initialized=lambda: False)
    version = SimpleNamespace(cuda="13.0", hip=None)
    make_module("torch", __version__=world["torch"], version=version, cuda=cuda, utils=utils)
    make_module("triton", __version__=world["triton"])
    # Older builders import it at once; Python 3.12 has it no more.
    make_module("distutils.errors", CompileError=Exception, LinkError=Exception)
    parts = {name: make_module(f"distutils.{name}") for name in ("ccompiler", "log", "spawn", "sysconfig")}
    make_module("distutils", **parts)
    sys.modules["deepspeed"] = None  # type: ignore[assignment]


def make_module(name: str, **names: object) -> ModuleType:
    """Return a module that can be imported."""
    module = sys.modules[name] = ModuleType(name)
    module.__dict__.update(names)
    return module


def ask(builder: Any, world: dict[str, Any]) -> dict[str, Any]:
    """Return what one builder says; `archs` are those that it compiles for."""
    builder.has_function = lambda _name=None, libraries=(), **_: set(libraries) <= set(world["libraries"])
    return {
        "variable": builder.BUILD_VAR,
        "compatible": builder.is_compatible(),
        "archs": [arch for arch in world["archs"] if is_compiled(builder, arch)],
        "missing": missing_module(builder),
        "sources": builder.sources(),
    }


def is_compiled(builder: Any, arch: str) -> bool:
    """Tell whether the builder makes the right flag of an arch, and does not leave it out."""
    os.environ.pop("TORCH_CUDA_ARCH_LIST", None)
    number = arch.replace(".", "")
    with contextlib.suppress(AttributeError, RuntimeError, ValueError, IndexError):
        return bool(builder.compute_capability_args(arch) == [f"-gencode=arch=compute_{number},code=sm_{number}"])
    return False


def missing_module(builder: Any) -> str | None:
    """Return the Python module that the builder cannot link without."""
    try:
        builder.extra_ldflags()
    except ModuleNotFoundError as error:
        return error.name
    except ValueError:  # oneCCL's op: no CCL_ROOT
        return None
    return None


if __name__ == "__main__":
    main()
