"""What we wrote down of DeepSpeed, held against its real source."""

from __future__ import annotations

import ast
import collections
import copy
import io
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_filters import COUNTS, FILTERS
from test_hostfile import TEXTS
from upstream_rules import RefusedError, filtered_upstream, hosts_upstream
from upstream_trees import unpack_sdist

LAUNCHER_NAMES = {
    "_parse_hostfile",
    "_stable_remove_duplicates",
    "parse_node_config",
    "parse_node_config_list",
    "parse_resource_filter",
    "parse_inclusion_exclusion",
}
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_sdist("0.19.8", tmp_path_factory.mktemp("upstream"))


@pytest.fixture(scope="module")
def launcher(tree: Path) -> dict[str, Any]:
    """The launcher's own functions for hostfiles and filters, without importing torch."""
    module = ast.parse((tree / "deepspeed/launcher/runner.py").read_text(encoding="utf-8"))
    module.body = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name in LAUNCHER_NAMES]
    names: dict[str, Any] = {
        "collections": collections,
        "defaultdict": collections.defaultdict,
        "deepcopy": copy.deepcopy,
        "logger": logging.getLogger("upstream-launcher"),
        "re": re,
        "Dict": dict,
        "List": list,
        "Tuple": tuple,
    }
    names["logger"].disabled = True
    exec(compile(module, "runner.py", "exec"), names)
    return names


def test_our_copy_of_the_hostfile_rules_is_deepspeeds(launcher: dict[str, Any]) -> None:
    @given(TEXTS)
    def compare(text: str) -> None:
        try:
            expected = dict(launcher["_parse_hostfile"](io.StringIO(text, newline=None).readlines()))
        except ValueError:
            with pytest.raises(RefusedError):
                hosts_upstream(text)
        else:
            assert list(hosts_upstream(text).items()) == list(expected.items())

    compare()


def test_our_copy_of_the_filter_rules_is_deepspeeds(launcher: dict[str, Any]) -> None:
    @given(FILTERS, st.booleans())
    def compare(text: str, is_include: bool) -> None:  # noqa: FBT001
        texts = (text, "") if is_include else ("", text)
        try:
            expected = dict(launcher["parse_inclusion_exclusion"](COUNTS, *texts))
        except ValueError:
            with pytest.raises(RefusedError):
                filtered_upstream(COUNTS, *texts)
        else:
            assert list(filtered_upstream(COUNTS, *texts).items()) == list(expected.items())

    compare()
