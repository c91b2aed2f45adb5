"""A pickle that holds nothing but numbers, texts, bytes, lists, dictionaries and arrays of bytes.

A pickle is a program: Python's own reader imports and calls what it names. This reader calls nothing. It goes through
the instructions and keeps values on a stack, as the format prescribes (Python's pickletools.py describes each); the few
names by which numpy pickles an array stand for a record, and every other name is refused.

CIFAR's archives for Python have such files, written by Python 2. Protocol 5, which pickles arrays in another way, is
not read.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAIN = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINSTRING", "BINSTRING", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "FLOAT", "BINFLOAT"}
)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
PASSED_OVER = frozenset({"PROTO", "FRAME"})
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
BYTE_TYPES = ("u1", "|u1")


@dataclass(frozen=True, slots=True)
class _Name:
    module: str
    name: str


class _Mark:
    pass


@dataclass(slots=True)
class _Made:
    """What a call would have made: an array or a type of numpy, whose state follows."""

    kind: str
    value: Any = None


def read_plain_pickle(content: bytes) -> Any:
    """The value in a pickle; arrays are of uint8.

    Raises:
        ValueError: it holds anything else, or is damaged.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(content):
            machine.do(instruction.name, argument)
        return machine.end()
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeError, OverflowError) as error:
        raise ValueError("the pickle is damaged") from error


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[], None]] = {
            "MARK": lambda: self._stack.append(_Mark()),
            "EMPTY_LIST": lambda: self._stack.append([]),
            "EMPTY_DICT": lambda: self._stack.append({}),
            "TUPLE": lambda: self._stack.append(tuple(self._since_mark())),
            "APPEND": self._append,
            "APPENDS": self._append_all,
            "SETITEM": self._set,
            "SETITEMS": self._set_all,
            "MEMOIZE": self._memoize,
            "STACK_GLOBAL": self._name,
            "REDUCE": self._make,
            "BUILD": self._build,
            "STOP": lambda: None,
        }

    def do(self, name: str, argument: Any) -> None:
        """One instruction."""
        if name in PLAIN:
            self._stack.append(argument)
        elif name in CONSTANTS:
            self._stack.append(CONSTANTS[name])
        elif name in TUPLES:
            count = TUPLES[name]
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name == "GLOBAL":
            self._stack.append(_Name(*argument.split(" ", 1)))
        elif name in self._steps:
            self._steps[name]()
        elif name not in PASSED_OVER:
            raise ValueError(f"the pickle has the instruction {name}, which plain data do not need")

    def end(self) -> Any:
        """The one value that is left."""
        (value,) = self._stack
        return _finished(value)

    def _since_mark(self) -> list[Any]:
        place = max(place for place, value in enumerate(self._stack) if isinstance(value, _Mark))
        values = self._stack[place + 1 :]
        del self._stack[place:]
        return values

    def _append(self) -> None:
        value = self._stack.pop()
        _list(self._stack[-1]).append(_finished(value))

    def _append_all(self) -> None:
        values = self._since_mark()
        _list(self._stack[-1]).extend(map(_finished, values))

    def _set(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        _dict(self._stack[-1])[_key(key)] = _finished(value)

    def _set_all(self) -> None:
        values = self._since_mark()
        pairs = zip(values[::2], values[1::2], strict=True)
        _dict(self._stack[-1]).update({_key(key): _finished(value) for key, value in pairs})

    def _memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _name(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(_Name(module, name))

    def _make(self) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        if not isinstance(called, _Name):
            raise ValueError("the pickle calls what is not a name")
        if called.name == "_reconstruct" and called.module in ARRAY_MODULES:
            self._stack.append(_Made("array"))
        elif called == _Name("numpy", "dtype") and arguments[0] in BYTE_TYPES:
            self._stack.append(_Made("type"))
        elif called == _Name("_codecs", "encode") and arguments[1] == "latin1":  # Python 3 writes bytes so
            self._stack.append(arguments[0].encode("latin1"))
        else:
            raise ValueError(f"the pickle wants to call {called.module}.{called.name}, and nothing in it is run")

    def _build(self) -> None:
        state, made = self._stack.pop(), self._stack[-1]
        if not isinstance(made, _Made):
            raise ValueError("the pickle has an object that is not an array")
        if made.kind == "array":
            made.value = _array(state)


def _array(state: Any) -> NDArray[np.uint8]:
    """An array of bytes, from the version, shape, type, order and bytes that numpy pickles."""
    _, shape, kind, columns_first, content = state
    if not isinstance(kind, _Made) or kind.kind != "type":
        raise ValueError("the pickle has an array of other things than bytes")
    raw = content.encode("latin1") if isinstance(content, str) else content
    flat = np.frombuffer(raw, np.uint8)
    if not all(isinstance(length, int) and length >= 0 for length in shape):
        raise ValueError("the pickle has an array without a shape")
    return flat.reshape(shape, order="F" if columns_first else "C")


def _finished(value: Any) -> Any:
    """A value that is wanted in the end: an array that has its state, and nothing that is only a step to one."""
    if isinstance(value, _Made):
        if value.value is None:
            raise ValueError("the pickle has an array without content")
        return value.value
    if isinstance(value, _Name | _Mark):
        raise ValueError("the pickle holds a name, not data")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("the pickle appends to what is not a list")
    return value


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError("the pickle sets items of what is not a dictionary")
    return value


def _key(key: Any) -> str:
    """A key as a text: Python 2 writes its texts as bytes."""
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
