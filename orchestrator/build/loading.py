"""Loads every compiled op in the build environment, before anybody else has to."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.build.steps import result_of
from orchestrator.build.tree import Tree
from orchestrator.errors import BuildError
from orchestrator.ports import Command


def load_ops(tree: Tree, modules: Mapping[str, str]) -> None:
    """Load every op of the tree in a process of its own; raises BuildError with all that do not load.

    `modules` is op → import name.
    """
    ops = [
        {
            "op": spec.name,
            "module": modules[spec.name],
            "after": [modules[name] for name in spec.depends_on if name in modules],
        }
        for spec in tree.order.built_specs
        if not spec.is_empty
    ]
    command = Command(
        argv=(tree.environment.python, tree.shop.send_driver("load_ops"), json.dumps(ops)),
        cwd=tree.folder,
        environment=tree.variables,
    )
    errors = result_of(tree.shop.run("loading", command))
    faults = [f"{op}: {error}" for op, error in errors.items() if error]
    if faults:
        lines = "\n  ".join(faults)
        raise BuildError(f"compiled on {tree.shop.remote.host}, but cannot be loaded there:\n  {lines}")
