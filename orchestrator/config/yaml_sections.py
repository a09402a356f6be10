"""Read YAML key by key: every scalar stays the text that was written, every fault is kept with its line and key path.

`0.19` is no number here and `off` no boolean: what a word means is decided by who asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import yaml

from orchestrator.config.faults import Faults
from orchestrator.config.names import quoted
from orchestrator.config.suggestion import did_you_mean, listed

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A scalar as it was written, and where."""

    text: str
    path: str
    """Key path: `ops.require[2]`."""
    line: int

    def complain(self, faults: Faults, message: str) -> None:
        """Add a fault of this word."""
        faults.add(self.line, f"{self.path}: {message}")


class Section:
    """One mapping of a file. What is absent or faulty reads as None, empty, or the default."""

    def __init__(
        self, node: yaml.MappingNode, faults: Faults, *, path: str = "", keys: Collection[str] | None = None
    ) -> None:
        """Take a node; `keys` are those that may be there (None: any), `faults` gets what is wrong."""
        self._line = _line_of(node)
        self._path = path
        self._faults = faults
        self._nodes: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            self._take(key_node, value_node, keys)

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def complain(self, key: str, message: str) -> None:
        """Add a fault of a key's value, or of its absence."""
        line = _line_of(self._nodes[key]) if key in self._nodes else self._line
        self._faults.add(line, f"{self._join(key)}: {message}")

    def is_list(self, key: str) -> bool:
        """Whether the key's value is a list."""
        return isinstance(self._nodes.get(key), yaml.SequenceNode)

    def word(self, key: str) -> Word | None:
        """Return the key's scalar."""
        return self._scalar(self._nodes[key], self._join(key)) if key in self._nodes else None

    def words(self, key: str) -> tuple[Word, ...]:
        """Return the key's list of scalars; a list that is there is never empty."""
        node = self._nodes.get(key)
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.complain(key, "a list is meant: [one, two]")
            return ()
        if not node.value:
            self.complain(key, "the list is empty: name something or leave the key out")
        words = (self._scalar(item, f"{self._join(key)}[{index}]") for index, item in enumerate(node.value))
        return tuple(word for word in words if word is not None)

    def items(self) -> Iterator[tuple[str, Word]]:
        """Yield the keys whose values are scalars."""
        for key in self._nodes:
            word = self.word(key)
            if word is not None:
                yield key, word

    def section(self, key: str, *, keys: Collection[str] | None = None) -> Section | None:
        """Return the key's mapping; `keys` are those that may be in it (None: any)."""
        node = self._nodes.get(key)
        if isinstance(node, yaml.MappingNode):
            return Section(node, self._faults, path=self._join(key), keys=keys)
        if node is not None:
            inside = listed(keys, limit=20) if keys else "NAME"
            self.complain(key, f"a mapping is meant, with: {inside}")
        return None

    def choice(self, key: str, kind: type[E]) -> E | None:
        """Return the key's value as a member of an enum."""
        word = self.word(key)
        if word is None:
            return None
        known = [str(member.value) for member in kind]
        if word.text not in known:
            near = did_you_mean(word.text, known)
            self.complain(key, f"{quoted(word.text)} is not one of: {listed(known)}{near}")
            return None
        return kind(word.text)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return the key's `true` or `false`."""
        word = self.word(key)
        if word is None:
            return default
        if word.text not in ("true", "false"):
            self.complain(key, f"true or false is meant, not {quoted(word.text)}")
        return word.text == "true"

    def _take(self, key_node: yaml.Node, value_node: yaml.Node, keys: Collection[str] | None) -> None:
        line = _line_of(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            self._faults.add(line, f"{self._path or 'the file'}: a key is a word, not a list or mapping")
            return
        key = key_node.value
        if keys is not None and key not in keys:
            self._faults.add(
                line, f"{self._join(key)}: unknown key; known: {listed(keys, limit=20)}{did_you_mean(key, keys)}"
            )
        elif key in self._nodes:
            self._faults.add(line, f"{self._join(key)}: there twice (first on line {_line_of(self._nodes[key])})")
        else:
            self._nodes[key] = value_node

    def _scalar(self, node: yaml.Node, path: str) -> Word | None:
        if not isinstance(node, yaml.ScalarNode):
            self._faults.add(_line_of(node), f"{path}: one word is meant, not a list or mapping")
            return None
        if not node.value:
            self._faults.add(_line_of(node), f"{path}: is empty: give a value or leave the key out")
            return None
        return Word(text=node.value, path=path, line=_line_of(node))

    def _join(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def open_sections(text: str, faults: Faults, *, keys: Collection[str]) -> Section | None:
    """Return the top mapping of a YAML text; None, and a fault, when the text is none."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(mark.line + 1 if mark else None, f"no YAML: {error.problem or error.context}")
        return None
    except (yaml.YAMLError, RecursionError) as error:
        faults.add(None, f"no YAML: {str(error).splitlines()[0]}")
        return None
    if not isinstance(node, yaml.MappingNode):
        faults.add(None, f"a mapping is meant, with: {listed(keys, limit=20)}")
        return None
    return Section(node, faults, keys=keys)


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
