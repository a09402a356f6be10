"""Says which ops can be tried against torch, and what came of it; all others are loaded, no more.

A trial calls the op's library as DeepSpeed's Python does. DeepSpeed 0.8 to 0.19 do not all bind the same functions:
where one is not there, or takes other arguments, the op was loaded and not run, which is no failure.
"""

from __future__ import annotations

import re

from .op_bench import Bench, NotRunError, WrongNumbersError
from .op_trials_kernels import (
    try_inference_core_ops,
    try_quantizer,
    try_ragged_ops,
    try_random_ltd,
    try_spatial_inference,
    try_transformer_inference,
)
from .op_trials_memory import try_async_io, try_pin_memory, try_utils
from .op_trials_optimizers import (
    try_cpu_adagrad,
    try_cpu_adam,
    try_cpu_lion,
    try_fused_adam,
    try_fused_lamb,
    try_fused_lion,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Tuple

    Trial = Callable[[Any, Bench], str]
    Trials = Dict[str, Trial]
    Answer = Tuple[str, str]

ON_CPU: Trials = {
    "cpu_adam": try_cpu_adam,
    "cpu_adagrad": try_cpu_adagrad,
    "cpu_lion": try_cpu_lion,
    "async_io": try_async_io,
    "pin_memory": try_pin_memory,
    "utils": try_utils,
}
"""What runs on the CPU, whatever the accelerator is."""
ON_ACCELERATOR: Trials = {
    "fused_adam": try_fused_adam,
    "fused_lamb": try_fused_lamb,
    "fused_lion": try_fused_lion,
    "quantizer": try_quantizer,
    "transformer_inference": try_transformer_inference,
    "random_ltd": try_random_ltd,
    "spatial_inference": try_spatial_inference,
    "inference_core_ops": try_inference_core_ops,
    "ragged_ops": try_ragged_ops,
}
"""What runs on every GPU; DeepSpeed's CPU accelerator has some of them too."""
_NO_CODE = re.compile(r"no kernel image is available|invalid device function")
"""cudaErrorNoKernelImageForDevice and cudaErrorInvalidDeviceFunction (CUDA Runtime API, cudaError)."""
_OTHER_ARGUMENTS = "incompatible function arguments"
"""pybind11's words."""


def try_op(name: str, op: Any, device: str | None, folder: str) -> Answer:  # noqa: ANN401 - a compiled module
    """Return the state of a loaded op (a value of `CheckState`) and a word about it.

    `device` is None where there is no accelerator that trials know. Raises whatever the op raises.
    """
    trial = ON_CPU.get(name) or ON_ACCELERATOR.get(name)
    if trial is None:
        return "loaded", ""
    device = "cpu" if name in ON_CPU else device
    if device is None:
        return "loaded", "not run: there is no trial for this accelerator"
    bench = Bench(device, folder)
    try:
        return "ran", trial(op, bench)
    except WrongNumbersError as error:
        return "wrong", str(error)
    except NotRunError as error:
        return "loaded", f"not run: {error}"
    except Exception as error:
        known = explain(error, bench)
        if known is None:
            raise
        return known


def explain(error: Exception, bench: Bench) -> Answer | None:
    """Return what an exception of an op or of torch says beyond its words; None for a plain failure."""
    text = str(error)
    first_line = text.partition("\n")[0]
    if isinstance(error, AttributeError) or (isinstance(error, TypeError) and _OTHER_ARGUMENTS in text):
        return "loaded", f"not run: this version is called in another way: {first_line}"
    if isinstance(error, RuntimeError) and _NO_CODE.search(text):
        return "no-kernel-image", f"its library has no code for {gpu_arch(bench)}"
    return None


def gpu_arch(bench: Bench) -> str:
    """Return the name that NVIDIA gives to what this GPU runs, and the GPU's own: `sm_86 (NVIDIA A10)`."""
    cuda = bench.torch.cuda
    major, minor = cuda.get_device_capability(bench.device)
    return f"sm_{major}{minor} ({cuda.get_device_name(bench.device)})"
