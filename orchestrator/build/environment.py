"""Makes the virtual environment of a build: the target's torch, and build tools of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.build.controller_torch import keep_torch
from orchestrator.build.order import BuildOrder, BuildTools
from orchestrator.build.steps import Workshop, result_of
from orchestrator.build.target import Target
from orchestrator.build.version import local_version
from orchestrator.errors import BuildError
from orchestrator.model.recipe import BuildStrategy
from orchestrator.planning.archs import arch_list
from orchestrator.planning.ops import build_packages
from orchestrator.ports import Command

_REQUIREMENTS = ("setuptools<82", "packaging", "pip>=23.1")
"""What DeepSpeed's setup.py needs beside torch; torch 2.11 and later says `setuptools<82` itself."""
_EPOCH = "315532800"
"""1980, where the dates of zip files begin; nothing in a wheel may tell when it was built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a build runs in."""

    python: str
    variables: Mapping[str, str]


def make_environment(target: Target, order: BuildOrder, tools: BuildTools, shop: Workshop) -> Environment:
    """Make the environment in the workshop.

    Raises BuildError when its torch is not the signature's, TransferError when a requirement cannot be fetched.
    """
    wheels = _send_requirements(target, order, tools, shop)
    pip = next(f"{wheel}/pip" for wheel in wheels if "/pip-" in wheel)
    torch = () if order.python else (str(keep_torch(target, pip, order, tools, shop)),)
    folder = shop.path("environment")
    make = Command(
        argv=(target.executable, shop.send_driver("make_environment"), folder, *torch),
        environment=order.recipe.environment,
    )
    torch_version = result_of(shop.run("environment", make))
    if torch_version != order.signature.torch_version:
        raise BuildError(
            f"the torch of {target.executable} on {shop.remote.host} is {torch_version or 'missing'}, "
            f"not {order.signature.torch_version}",
            hint="the host changed since it was probed: plan again",
        )
    python = f"{folder}/bin/python"
    install = (python, pip, "install", "--no-index", "--no-deps", "--no-compile", "--ignore-installed", *wheels)
    shop.run("requirements", Command(argv=install, environment={"PYTHONPATH": ""}))
    return Environment(python=python, variables=build_variables(order))


def build_variables(order: BuildOrder) -> dict[str, str]:
    """Return the environment variables of setup.py; ours beat the recipe's, for the plan has heard those already."""
    signature = order.signature
    is_upstream = order.recipe.strategy is BuildStrategy.UPSTREAM
    built = {decision.build_variable for decision in order.built}
    switches = {
        decision.build_variable: str(int(decision.build_variable in built))
        for decision in order.decisions
        if decision.build_variable and not (is_upstream and decision.build_variable in built)
    }
    gpu = {"TORCH_CUDA_ARCH_LIST": arch_list(signature.gpu_archs, order.recipe.ptx)} if signature.torch_cuda else {}
    return {
        "CXX": order.toolchain.cxx,
        "CUTLASS_PATH": "DS_USE_CUTLASS_PYTHON_BINDINGS",  # evoformer_attn then takes nvidia-cutlass (0.18.8 and later)
        **order.recipe.environment,
        "CUDA_VISIBLE_DEVICES": "-1",  # a builder's own GPU must not decide what fits: some is_compatible() look at it
        "TORCH_DONT_CHECK_COMPILER_ABI": "1",  # its table of compilers is older than nvcc's own, which the plan heeds
        "DS_ACCELERATOR": signature.accelerator.deepspeed_name,
        "DS_BUILD_OPS": str(int(is_upstream)),
        **switches,
        "DS_BUILD_STRING": local_version(signature, order.build_key),
        "DS_SKIP_CUDA_CHECK": str(int(order.recipe.skip_cuda_check)),
        **gpu,
        "SOURCE_DATE_EPOCH": _EPOCH,
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": "",
        "PYTHONUNBUFFERED": "1",
    }


def _send_requirements(target: Target, order: BuildOrder, tools: BuildTools, shop: Workshop) -> list[str]:
    paths = []
    requirements = (*_REQUIREMENTS, *build_packages(order.built, order.specs))
    for file in tools.index.wheels(requirements, target.tags(order.signature), constraints={}):
        paths.append(shop.path("wheels", file.filename))
        shop.remote.put(file.path, paths[-1])
    return paths
