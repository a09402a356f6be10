"""Knows torch's symbols by their mangled names: which ones are torch's, whose, and what people call them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NESTED = r"_Z(?:T[VISTHW]|GV)?N[rVKRO]*"
"""What a mangled nested name begins with, also that of a vtable, typeinfo or guard (Itanium C++ ABI, 5.1)."""
_OF_TORCH = re.compile(rf"{_NESTED}(?:3c10|2at|5torch|6caffe2)(?=[0-9A-Z])|_Z\d+THP|THP|aoti_torch_|torch_")
_NEW_STRING = "__cxx11"
_OLD_STRING = re.compile(r"(?:[EOPRK]|NS_\w+E)Ss")
"""`std::string` as libstdc++ before GCC 5 has it, where a parameter may stand."""
_LIBRARIES = (
    (re.compile(rf"{_NESTED}3c104cuda"), "libc10_cuda.so"),
    (re.compile(rf"{_NESTED}3c10"), "libc10.so"),
    (re.compile(rf"{_NESTED}2at(?:4cuda|6native4cuda)"), "libtorch_cuda.so"),
    (re.compile(r"(?:_Z\d+)?THP|_ZN5torch12PythonArgs"), "libtorch_python.so"),
)
_PART = re.compile(r"(\d+)|(C[1-3])|(D[0-2])")


def is_of_torch(symbol: str) -> bool:
    """Tell whether a symbol's owner is torch: a namespace of its C++, or its C interfaces."""
    return _OF_TORCH.match(symbol) is not None


def library_of(symbol: str) -> str:
    """Return the library of torch where a symbol belongs by its namespace; another of them may have it instead."""
    return next((library for pattern, library in _LIBRARIES if pattern.match(symbol)), "libtorch_cpu.so")


def find_cxx11_abi(symbols: Iterable[str]) -> bool | None:
    """Return which C++11 ABI symbols were compiled with, told by their strings; None when none has any."""
    names = tuple(symbols)
    if any(_NEW_STRING in name for name in names):
        return True
    return False if any(_OLD_STRING.search(name) for name in names) else None


def demangle(symbol: str) -> str:
    """Return the name of a plain nested symbol, without parameters: `c10::Error::Error`; any other as it is."""
    start = re.match(_NESTED, symbol)
    words: list[str] = []
    place = start.end() if start else len(symbol)
    while place < len(symbol) and symbol[place] != "E":
        part = _PART.match(symbol, place)
        if part is None:
            return symbol  # an operator, a template, a tag
        place = part.end()
        if part[1]:
            words.append(symbol[place : place + int(part[1])])
            place += int(part[1])
        elif words:
            words.append(words[-1] if part[2] else f"~{words[-1]}")
    return "::".join(words) if words and place < len(symbol) else symbol
