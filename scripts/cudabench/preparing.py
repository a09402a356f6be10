"""Fetches, once for both sides, what a build needs: torch, the toolkit, DeepSpeed's source. Not measured."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

from cudabench.errors import BenchError
from cudabench.workplace import DSDEPLOY, ROOT, Interpreter, Workplace, run_step
from orchestrator.index.pip_index import PipIndex
from orchestrator.model.recipe import Source, SourceKind

DEEPSPEED = "0.19.8"
LEFT_OUT = ("fp_quantizer", "cutlass_ops", "ragged_device_ops", "evoformer_attn")
"""Ops that upstream's command cannot build (FP_QUANTIZER, CUTLASS_OPS …), so that neither side has them."""
SMALL_OP = "random_ltd"
DOWNLOADS = ("index", "torch", "toolchains")
"""What of `dsdeploy`'s cache was fetched, not made."""
_RECIPE = f"""\
deepspeed: {{version: {DEEPSPEED}}}
accelerator: cuda
toolchain: wheels
"""
_RECIPES = {
    "all": f"{_RECIPE}ops: {{skip: [{', '.join(LEFT_OUT)}]}}\n",
    "union": f"{_RECIPE}ops: {{skip: [{', '.join(LEFT_OUT)}]}}\narchs: union\n",
    "small": f"{_RECIPE}ops: {{want: [{SMALL_OP}]}}\n",
}
_LINKER = ROOT / "orchestrator" / "build" / "drivers" / "link_cuda_home.py"


def write_recipes(place: Workplace) -> None:
    """Write the recipes; `all` has the ops of upstream's command."""
    for name, text in _RECIPES.items():
        place.recipe(name).parent.mkdir(exist_ok=True)
        place.recipe(name).write_text(text, encoding="utf-8")


def make_venv(place: Workplace, interpreter: Interpreter) -> None:
    """Make the environment that has torch and what upstream's setup.py wants, unless it is there."""
    if interpreter.venv.exists():
        return
    draft = interpreter.venv.with_name(f".{interpreter.venv.name}")
    environment, log = place.environment(), place.log("prepare")
    run_step([interpreter.base, "-m", "venv", "--clear", draft], environment=environment, log=log)
    wanted = (f"torch=={place.torch}", "setuptools<82", "wheel", "ninja", "numpy", "packaging", "py-cpuinfo")
    run_step([draft / "bin" / "python", "-m", "pip", "install", *wanted], environment=environment, log=log)
    draft.rename(interpreter.venv)


def link_interpreters(place: Workplace) -> None:
    """Let `python3.12` and the other one be found by name: the controller builds with what is on PATH."""
    folder = place.folder / "pythons"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for interpreter in (place.first, place.second):
        (folder / f"python{interpreter.version}").symlink_to(interpreter.base)


def fetch_source(place: Workplace) -> None:
    """Fetch DeepSpeed's sdist."""
    if not place.sdist.exists():
        index = PipIndex(place.folder / "index", environ=os.environ)
        archive = index.source(Source(kind=SourceKind.VERSION, value=DEEPSPEED))
        shutil.copy(archive.path, place.sdist)


def unpack_source(place: Workplace, folder: Path) -> Path:
    """Unpack the sdist into a new folder and return the tree."""
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(place.sdist) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


def share_torch(interpreter: Interpreter, home: Path) -> None:
    """Let `dsdeploy` find the environment's torch where it keeps those of controller builds."""
    kept = home / "cache" / "dsdeploy" / "torch" / f"{interpreter.abi_tag}-{torch_version(interpreter)}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        kept.symlink_to(interpreter.site_packages)


def torch_version(interpreter: Interpreter) -> str:
    """Return the full version of an environment's torch: `2.11.0+cu130`."""
    version: dict[str, str] = {}
    exec((interpreter.site_packages / "torch" / "version.py").read_text(encoding="utf-8"), version)  # noqa: S102
    return version["__version__"]


def warm_up(place: Workplace, ssh_config: Path) -> None:
    """Build one small op for each Python: `dsdeploy` then has its downloads, which the measured homes take over."""
    home = place.home("warm")
    for hostfile in ("sm_90", "second-python"):
        command = build_command(place, hostfile, "small", ssh_config)
        run_step(command, environment=place.environment(home), log=place.log("warm"))


def build_command(place: Workplace, hostfile: str, recipe: str, ssh_config: Path) -> list[str | Path]:
    """Return our command."""
    hosts = ("--hostfile", place.hostfile(hostfile), "--ssh-config", ssh_config)
    return [DSDEPLOY, "build", *hosts, "--recipe", place.recipe(recipe), "--builder", "controller"]


def link_upstream_home(place: Workplace) -> None:
    """Make a CUDA_HOME for upstream's command, of the toolkit that `dsdeploy` fetched and of torch's own libraries."""
    roots = list(place.home("warm").glob("cache/dsdeploy/toolchains/*/tree/nvidia/*"))
    if not roots:
        raise BenchError("the warm-up left no CUDA toolkit in dsdeploy's cache")
    compiler = shutil.which("c++") or "c++"
    home = {"folder": str(place.cuda_home), "roots": sorted(map(str, roots)), "compiler": compiler, "stage_cache": None}
    shutil.rmtree(place.cuda_home, ignore_errors=True)
    command: list[str | Path] = [place.first.python, "-I", _LINKER, json.dumps(home)]
    run_step(command, environment=place.environment(), log=place.log("prepare"))
