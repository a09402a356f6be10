"""Values to JSON documents and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model.codec import DocumentError, canonical_json, digest_of, from_document, to_document


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    colour: Colour
    leaves: tuple[Leaf, ...] = ()
    best: Leaf | None = None
    weights: Mapping[str, float] = field(default_factory=dict)


leaves = st.builds(Leaf, name=st.text(), size=st.integers())
trees = st.builds(
    Tree,
    colour=st.sampled_from(Colour),
    leaves=st.lists(leaves).map(tuple),
    best=st.none() | leaves,
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False)),
)


@given(trees)
def test_a_value_survives_the_way_to_json_and_back(tree: Tree) -> None:
    assert from_document(Tree, json.loads(canonical_json(tree))) == tree


@given(trees, trees)
def test_digests_are_equal_exactly_when_values_are(one: Tree, other: Tree) -> None:
    assert (digest_of(one) == digest_of(other)) == (canonical_json(one) == canonical_json(other))


def test_a_wrong_type_is_told_with_its_key_path() -> None:
    with pytest.raises(DocumentError, match=r"leaves\[1\].size: expected int, found str"):
        from_document(Tree, {"colour": "red", "leaves": [{"name": "a"}, {"name": "b", "size": "big"}]})


def test_a_missing_key_is_told_with_its_key_path() -> None:
    with pytest.raises(DocumentError, match=r"best.name: is missing"):
        from_document(Tree, {"colour": "red", "best": {}})


def test_an_unknown_enum_value_is_told_with_the_known_ones() -> None:
    with pytest.raises(DocumentError, match=r"colour: 'green' is not one of: red, blue"):
        from_document(Tree, {"colour": "green"})


def test_keys_of_a_newer_version_are_ignored() -> None:
    assert from_document(Leaf, {"name": "a", "added_later": 1}) == Leaf(name="a")


def test_a_boolean_is_not_an_integer() -> None:
    with pytest.raises(DocumentError):
        from_document(Leaf, {"name": "a", "size": True})


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError):
        to_document(object())
