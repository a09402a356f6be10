"""A host of the hostfile, and what was chosen of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One target, as the hostfile names it.

    `name` is the word in the hostfile, which the SSH configuration may map to an address.
    """

    name: str
    slots: tuple[int, ...] = ()
    """Slot (GPU) numbers that take part, counted from 0."""
    user: str | None = None
    port: int | None = None
    python: str | None = None
    """Path or name of the target interpreter on that host; None: the recipe's, then `python3`."""
