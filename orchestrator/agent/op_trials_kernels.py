"""Trials of the ops that only GPUs have: one kernel of each, called as DeepSpeed's Python calls it, against torch."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .op_bench import Bench

_ROWS, _COLUMNS = 16, 256
"""Columns are a multiple of what these kernels load at once, 16 bytes."""
_EPSILON = 1e-5
_HALF_PRECISION = 4e-3
_BATCH_FIRST = True


def try_quantizer(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Take rows of like numbers to 8 bits and back, which costs each up to half of a 127th of the row's largest."""
    start = bench.ramp(_ROWS * _COLUMNS, alternating=True).reshape(_ROWS, _COLUMNS)
    small, scales = op.quantize(bench.put(start).half(), _ROWS, 8, op.Symmetric)
    back = op.dequantize_fp32(small, scales, _ROWS, 8, op.Symmetric)
    return bench.compare("8 bits and back", back, start, tolerance=0.01)


def try_transformer_inference(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Normalise layers (csrc/transformer/inference/csrc/layer_norm.cu)."""
    start = bench.ramp(_ROWS * _COLUMNS, alternating=True).reshape(1, _ROWS, _COLUMNS)
    gain, shift = bench.ramp(_COLUMNS), bench.ramp(_COLUMNS, alternating=True)
    found = op.layer_norm(bench.put(start), bench.put(gain), bench.put(shift), _EPSILON)
    expected = bench.torch.nn.functional.layer_norm(start, (_COLUMNS,), gain, shift, _EPSILON)
    return bench.compare("a layer norm", found, expected, tolerance=1e-4)


def try_random_ltd(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Sort the tokens that were drawn, and gather them."""
    torch = bench.torch
    kept = torch.arange(_ROWS - 1, 0, -2)
    drawn = torch.stack([kept, kept - 1]).to(torch.int32)
    order = op.token_sort_(drawn.reshape(1, 2, -1).to(bench.device), _ROWS)
    expected_order = drawn.sort(dim=1).values
    bench.compare("sorted tokens", order.reshape(2, -1), expected_order)
    start = bench.ramp(2 * _ROWS * _COLUMNS).reshape(2, _ROWS, _COLUMNS)
    found = op.token_gather(bench.put(start), order[0], _BATCH_FIRST)
    expected = torch.stack([start[row, expected_order[row].long()] for row in range(2)])
    return bench.compare("gathered tokens", found, expected)


def try_spatial_inference(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Add a bias to an image of channels-last layout, in half precision."""
    start = bench.ramp(2 * 64 * 4 * 4).reshape(2, 64, 4, 4)
    bias = bench.ramp(64)
    image = bench.put(start).half().to(memory_format=bench.torch.channels_last)
    found = op.nhwc_bias_add(image, bench.put(bias).half())
    return bench.compare("an image's bias", found, start + bias.reshape(1, -1, 1, 1), _HALF_PRECISION)


def try_inference_core_ops(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Normalise rows by their root mean square."""
    start = bench.ramp(_ROWS * _COLUMNS, alternating=True).reshape(_ROWS, _COLUMNS)
    gain = bench.ramp(_COLUMNS)
    found = bench.torch.zeros(_ROWS, _COLUMNS).to(bench.device)
    op.rms_norm(found, bench.put(start), bench.put(gain), _EPSILON)
    expected = start * ((start * start).mean(dim=1, keepdim=True) + _EPSILON).rsqrt() * gain
    return bench.compare("an RMS norm", found, expected, tolerance=1e-4)


def try_ragged_ops(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Send numbers to the GPU through the host buffer that mirrors its memory."""
    start = bench.ramp(_COLUMNS)
    there = bench.torch.zeros(_COLUMNS).to(bench.device)
    here = op.allocate_fast_host_buffer(there)
    here.copy_(start)
    there.copy_(here)
    return bench.compare("a mirrored buffer", there, start)
