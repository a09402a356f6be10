"""Runs where a real torch is: ops that need a GPU as their kernels have them, right and wrong, tried as on hosts.

Prints the states as JSON: `{"fused_lamb": ["ran", "wrong"], …}`.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from types import SimpleNamespace
from typing import Any

from orchestrator.agent.op_trials import try_op

torch: Any = importlib.import_module("torch")
Op = SimpleNamespace


def lamb(weight: Any, _copy: Any, mean: Any, square: Any, gradient: Any, *numbers: float) -> None:
    """Step as csrc/lamb/fused_lamb_cuda_kernel.cu does in mode 1."""
    rate, first, second, most, least, epsilon, scale, step, _mode, _corrected, decay = numbers
    gradient = gradient / scale
    mean.mul_(first).add_(gradient * (1 - first))
    square.mul_(second).add_(gradient * gradient * (1 - second))
    update = mean / (square.sqrt() + epsilon) + decay * weight
    trust = (weight.norm() / update.norm()).clamp(least, most)
    weight.sub_(rate * (1 - second**step) ** 0.5 / (1 - first**step) * trust * update)


def lion(_chunk: int, _flag: Any, tensors: Any, *numbers: float) -> None:
    """Step as csrc/lion/multi_tensor_lion.cu does."""
    rate, first, second, _step, decay = numbers
    (gradient,), (weight,), (mean,) = tensors
    weight.mul_(1 - rate * decay).sub_(rate * (first * mean + (1 - first) * gradient).sign())
    mean.mul_(second).add_(gradient * (1 - second))


def lion_without_decay(chunk: int, flag: Any, tensors: Any, *numbers: float) -> None:
    lion(chunk, flag, tensors, *numbers[:-1], 0.0)


def quantize(numbers: Any, groups: int, _bits: int, _kind: int) -> Any:
    scale = numbers.float().reshape(groups, -1).abs().amax(1, keepdim=True) / 127
    return (numbers.float() / scale).round().to(torch.int8), scale


def layer_norm(numbers: Any, gain: Any, shift: Any, epsilon: float) -> Any:
    return torch.nn.functional.layer_norm(numbers, (numbers.shape[-1],), gain, shift, epsilon)


def gather(numbers: Any, order: Any, _batch_first: bool) -> Any:  # noqa: FBT001 - the op's own
    return torch.gather(numbers, 1, order.long()[:, :, None].expand(-1, -1, numbers.shape[2]))


def rms_norm(found: Any, numbers: Any, gain: Any, epsilon: float) -> None:
    found.copy_(numbers * (numbers.pow(2).mean(-1, keepdim=True) + epsilon).rsqrt() * gain)


def sort(tokens: Any, _count: int) -> Any:
    return tokens.sort(dim=-1).values


JOINED = torch._C._nn
OPS = {
    "fused_lamb": (Op(lamb=lamb), Op(lamb=lambda *_: None)),
    "fused_lion": (Op(multi_tensor_lion=lion), Op(multi_tensor_lion=lion_without_decay)),
    "quantizer": tuple(
        Op(quantize=quantize, dequantize_fp32=lambda small, scale, *_, off=off: small * scale * off, Symmetric=0)
        for off in (1.0, 1.02)
    ),
    "transformer_inference": (Op(layer_norm=layer_norm), Op(layer_norm=lambda x, g, _, e: layer_norm(x, g, None, e))),
    "random_ltd": (
        Op(token_sort_=sort, token_gather=gather),
        Op(token_sort_=sort, token_gather=lambda x, order, first: gather(x, order.flip(1), first)),
    ),
    "spatial_inference": (
        Op(nhwc_bias_add=lambda image, bias: image + bias.reshape(1, -1, 1, 1)),
        Op(nhwc_bias_add=lambda image, _: image),
    ),
    "inference_core_ops": (Op(rms_norm=rms_norm), Op(rms_norm=lambda *_: None)),
    "ragged_ops": (
        Op(allocate_fast_host_buffer=torch.empty_like),
        Op(allocate_fast_host_buffer=lambda there: torch.empty_like(there, dtype=torch.float16)),
    ),
    "utils": (
        Op(cast_to_byte_tensor=lambda tensor: tensor.view(torch.uint8)),
        Op(cast_to_byte_tensor=lambda tensor: tensor.view(torch.uint8).flip(0)),
    ),
    "utils, older": (
        Op(flatten=JOINED.flatten_dense_tensors, unflatten=JOINED.unflatten_dense_tensors),
        Op(flatten=lambda parts: torch.cat(parts[::-1]), unflatten=JOINED.unflatten_dense_tensors),
    ),
}

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        states = {
            name: [try_op(name.partition(",")[0], op, "cpu", folder)[0] for op in right_and_wrong]
            for name, right_and_wrong in OPS.items()
        }
    json.dump(states, sys.stdout)
