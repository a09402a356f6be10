"""DeepSpeed itself, compiled on this machine against a real torch, in both ways."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from build_parts import SIGNATURE, make_order, make_tools

from orchestrator.audit.wheels import read_wheel
from orchestrator.build.order import BuildOrder, BuildTools, BuiltWheel
from orchestrator.build.wheel import make_wheel
from orchestrator.config.ops import load_op_catalogue
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.ops import OpSpec
from orchestrator.model.recipe import BuildStrategy
from orchestrator.planning.ops import ops_of
from orchestrator.remote.local import open_local

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from testcluster.interpreter import choose_interpreter
from testcluster.layout import find_cache_root
from testcluster.torch_cache import DEFAULT_TORCH, find_torch
from testcluster.venvs import find_template

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="looks at x86 instructions"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def order(folder: Path) -> BuildOrder:
    """Every op that this machine can compile, for a host that has AVX2 only, with the test cluster's torch."""
    cache, interpreter = find_cache_root(os.environ), choose_interpreter(None)
    template = find_template(cache, interpreter, has_pip=True)
    wanted = os.environ.get("DSDEPLOY_TORCH") or DEFAULT_TORCH
    torch = find_torch(cache, wanted, interpreter, template=template, say=print)
    subprocess.run([interpreter.executable, "-m", "venv", "--without-pip", folder / "target"], check=True)
    (folder / "target" / interpreter.site_packages / "torch.pth").write_text(f"{torch}\n")
    version = re.search("__version__ = '(.+)'", (torch / "torch" / "version.py").read_text())
    assert version is not None
    draft = make_order(
        specs=_cpu_ops(),
        skipped=_impossible(),
        signature=replace(SIGNATURE, torch_version=version[1], python_tag=interpreter.tag),
        python=str(folder / "target/bin/python"),
    )
    return replace(draft, cores=os.cpu_count() or 1)


@pytest.fixture(scope="module")
def tools(folder: Path) -> Iterator[BuildTools]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        session = open_local()
    yield make_tools(folder, remote=session, index=PipIndex(folder / "packages", environ=os.environ))
    session.close()


@pytest.fixture(scope="module")
def built(order: BuildOrder, tools: BuildTools) -> BuiltWheel:
    return make_wheel(order, tools)


def test_the_wheel_is_small_and_holds_every_ordered_op(order: BuildOrder, built: BuiltWheel) -> None:
    assert built.path.stat().st_size < 4_000_000
    assert set(built.manifest.built_ops) == {decision.op for decision in order.built}
    assert {"cpu_adam", "cpu_adagrad", "cpu_lion", "fused_adam", "pin_memory"} <= set(built.manifest.built_ops)


def test_no_op_of_an_avx2_wheel_uses_avx512_but_the_one_that_asks_the_cpu_first(
    folder: Path, built: BuiltWheel
) -> None:
    for op in built.manifest.ops:
        if op.path is None or op.name == "deepspeed_shm_comm":  # __builtin_cpu_supports(), csrc/cpu/comm
            continue
        with ZipFile(built.path) as wheel:
            library = wheel.extract(op.path, folder)
        code = subprocess.run(["objdump", "-d", library], capture_output=True, text=True, check=True).stdout
        assert "zmm" not in code, op.name
        assert op.name != "cpu_adam" or "ymm" in code


def test_the_literal_upstream_build_gives_the_same_ops(
    order: BuildOrder, tools: BuildTools, built: BuiltWheel, folder: Path
) -> None:
    literal = replace(order, recipe=replace(order.recipe, strategy=BuildStrategy.UPSTREAM))
    theirs = make_wheel(literal, replace(tools, folder=folder / "upstream", logs=folder / "upstream-logs"))
    assert theirs.manifest.built_ops == built.manifest.built_ops
    assert read_wheel(theirs.path).installed_ops == read_wheel(built.path).installed_ops
    assert set(read_wheel(theirs.path).shared_objects) == set(read_wheel(built.path).shared_objects)


def _cpu_ops() -> tuple[OpSpec, ...]:
    return ops_of(load_op_catalogue(), SIGNATURE.accelerator, make_order().recipe)


def _impossible() -> dict[str, str]:
    has_libaio = Path("/usr/include/libaio.h").exists()
    return {"deepspeed_ccl_comm": "needs oneCCL"} | ({} if has_libaio else {"async_io": "needs libaio's headers"})
