"""Trials of the optimizers: two steps of each, called as DeepSpeed's Python calls it, against its formula.

The formulas are those of torch.optim (AdamW, Adagrad), of arXiv 2302.06675 (Lion), and of DeepSpeed's
csrc/lamb/fused_lamb_cuda_kernel.cu. torch.optim itself is not asked: its first step spends seconds on importing torch's
compiler.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .op_bench import Bench, Tensor

    Step = Callable[[int, Tensor, Tensor], None]

_RATE, _DECAY, _EPSILON = 0.01, 0.1, 1e-8
_FIRST, _SECOND = 0.9, 0.99
"""Adam's betas, and Lion's."""
_SIZE = 1003
"""Odd, so that the vectorised loop and its tail both work."""
_CHUNK = 2048 * 32
_DECOUPLED, _CORRECTED, _TALKING = True, True, False
"""Decay as AdamW has it, moments corrected for their bias, and nothing said about it."""
_OUTSIDE_ROOT = 1
"""Where LAMB adds epsilon."""
_MOST, _LEAST = 10.0, 0.01
"""Between which LAMB keeps its trust ratio."""


def try_cpu_adam(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Let the CPU's AdamW take two steps."""
    mean, square = _zeros(bench, 2)
    op.create_adam(0, _RATE, _FIRST, _SECOND, _EPSILON, _DECAY, _DECOUPLED, _TALKING)

    def step(number: int, weight: Tensor, gradient: Tensor) -> None:
        op.adam_update(0, number, _RATE, _FIRST, _SECOND, _EPSILON, _DECAY, _CORRECTED, weight, gradient, mean, square)

    return _take_two(bench, step, _AdamW())


def try_cpu_adagrad(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Let the CPU's Adagrad take two steps; without decay, which DeepSpeed leaves out of the numerator."""
    (square,) = _zeros(bench, 1)
    op.create_adagrad(0, _RATE, _EPSILON, 0.0, _TALKING)

    def step(number: int, weight: Tensor, gradient: Tensor) -> None:
        op.adagrad_update(0, number, _RATE, _EPSILON, 0.0, weight, gradient, square)

    return _take_two(bench, step, _Adagrad())


def try_cpu_lion(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Let the CPU's Lion take two steps."""
    (mean,) = _zeros(bench, 1)
    op.create_lion(0, _RATE, _FIRST, _SECOND, _DECAY, _TALKING)

    def step(number: int, weight: Tensor, gradient: Tensor) -> None:
        op.lion_update(0, number, _RATE, _FIRST, _SECOND, _DECAY, weight, gradient, mean)

    return _take_two(bench, step, _Lion())


def try_fused_adam(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Let the fused AdamW take two steps."""
    mean, square = _zeros(bench, 2)
    nothing_overflowed = bench.torch.zeros(1, dtype=bench.torch.int32).to(bench.device)

    def step(number: int, weight: Tensor, gradient: Tensor) -> None:
        tensors = [[gradient], [weight], [mean], [square]]
        numbers = (_RATE, _FIRST, _SECOND, _EPSILON, number, _DECOUPLED, _CORRECTED, _DECAY)
        op.multi_tensor_adam(_CHUNK, nothing_overflowed, tensors, *numbers)

    return _take_two(bench, step, _AdamW())


def try_fused_lion(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Let the fused Lion take two steps."""
    (mean,) = _zeros(bench, 1)
    nothing_overflowed = bench.torch.zeros(1, dtype=bench.torch.int32).to(bench.device)

    def step(number: int, weight: Tensor, gradient: Tensor) -> None:
        tensors = [[gradient], [weight], [mean]]
        op.multi_tensor_lion(_CHUNK, nothing_overflowed, tensors, _RATE, _FIRST, _SECOND, number, _DECAY)

    return _take_two(bench, step, _Lion())


def try_fused_lamb(op: Any, bench: Bench) -> str:  # noqa: ANN401 - a compiled module
    """Let the fused LAMB take two steps."""
    mean, square = _zeros(bench, 2)
    no_copy = bench.torch.zeros(0)

    def step(number: int, weight: Tensor, gradient: Tensor) -> None:
        tensors = (weight, no_copy, mean, square, gradient)
        op.lamb(
            *tensors, _RATE, _FIRST, _SECOND, _MOST, _LEAST, _EPSILON, 1.0, number, _OUTSIDE_ROOT, _CORRECTED, _DECAY
        )

    return _take_two(bench, step, _Lamb(), tolerance=1e-4)


def _zeros(bench: Bench, count: int) -> list[Tensor]:
    return [bench.torch.zeros(_SIZE).to(bench.device) for _ in range(count)]


def _take_two(bench: Bench, step: Step, rule: _Rule, tolerance: float = 1e-5) -> str:
    expected, gradient = bench.ramp(_SIZE), bench.ramp(_SIZE, alternating=True)
    weight = bench.put(expected)
    for number in (1, 2):
        step(number, weight, bench.put(gradient))
        expected = rule.after(number, expected, gradient)
        gradient = gradient / 2
    return bench.compare(f"two steps of {rule.name}", weight, expected, tolerance)


class _Rule:
    """One optimizer's formula, with the moments that it keeps; all tensors are in double precision."""

    name = ""

    def __init__(self) -> None:
        self.mean: Tensor = 0.0
        self.square: Tensor = 0.0

    def after(self, number: int, weight: Tensor, gradient: Tensor) -> Tensor:
        """Return the weight after the step of this number, which begins with 1."""
        raise NotImplementedError

    def remember(self, gradient: Tensor) -> None:
        self.mean = _FIRST * self.mean + (1 - _FIRST) * gradient
        self.square = _SECOND * self.square + (1 - _SECOND) * gradient * gradient


class _AdamW(_Rule):
    name = "AdamW"

    def after(self, number: int, weight: Tensor, gradient: Tensor) -> Tensor:
        self.remember(gradient)
        mean = self.mean / (1 - _FIRST**number)
        square = self.square / (1 - _SECOND**number)
        return weight * (1 - _RATE * _DECAY) - _RATE * mean / (square.sqrt() + _EPSILON)


class _Adagrad(_Rule):
    name = "Adagrad"

    def after(self, _number: int, weight: Tensor, gradient: Tensor) -> Tensor:
        self.square = self.square + gradient * gradient
        return weight - _RATE * gradient / (self.square.sqrt() + _EPSILON)


class _Lion(_Rule):
    name = "Lion"

    def after(self, _number: int, weight: Tensor, gradient: Tensor) -> Tensor:
        direction = (_FIRST * self.mean + (1 - _FIRST) * gradient).sign()
        self.mean = _SECOND * self.mean + (1 - _SECOND) * gradient
        return weight * (1 - _RATE * _DECAY) - _RATE * direction


class _Lamb(_Rule):
    name = "LAMB"

    def after(self, number: int, weight: Tensor, gradient: Tensor) -> Tensor:
        self.remember(gradient)
        rate = _RATE * (1 - _SECOND**number) ** 0.5 / (1 - _FIRST**number)
        update = self.mean / (self.square.sqrt() + _EPSILON) + _DECAY * weight
        trust = (weight.norm() / update.norm()).clamp(_LEAST, _MOST)
        return weight - rate * trust * update
