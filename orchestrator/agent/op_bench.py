"""What the trials of ops work with, inside the target interpreter: a device, tensors to begin with, a comparison."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Tensor = Any


class WrongNumbersError(Exception):
    """An op computed something else than torch does."""


class NotRunError(Exception):
    """Something else than the op keeps it from being run here."""


class Bench:
    """One op's place to run; `device` is torch's word for it: `cpu`, `cuda:3`."""

    def __init__(self, device: str, folder: str) -> None:
        self.device = device
        self.folder = folder
        self.torch: Any = importlib.import_module("torch")

    def put(self, tensor: Tensor) -> Tensor:
        """Return a single-precision copy on the device; the original stays for the reference."""
        return tensor.float().to(self.device, copy=True)

    def ramp(self, count: int, *, alternating: bool = False) -> Tensor:
        """Return numbers from 0.5 to 2 in double precision on the CPU, every second one negative if `alternating`."""
        ramp = self.torch.linspace(0.5, 2.0, count, dtype=self.torch.float64)
        if alternating:
            ramp[1::2] *= -1
        return ramp

    def compare(self, what: str, found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> str:
        """Return how well the numbers agree. Raises WrongNumbersError when they do not.

        `tolerance` is relative, a tenth of it absolute.
        """
        self._settle()
        found, expected = (tensor.detach().double().cpu() for tensor in (found, expected))
        difference = (found - expected).abs().max().item()
        if not self.torch.allclose(found, expected, rtol=tolerance, atol=tolerance / 10):
            raise WrongNumbersError(f"{what}: up to {difference:.3g} from what torch computes")
        return f"{what}: within {difference:.1e} of what torch computes"

    def _settle(self) -> None:
        """Have torch launch a kernel of its own, which raises what the op's launches did not look for."""
        if self.device != "cpu":
            self.torch.ones(1, device=self.device).add_(1)
            self.torch.cuda.synchronize()
