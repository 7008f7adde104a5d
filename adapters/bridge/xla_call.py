"""Call Python from a step that XLA compiled for a CPU, by XLA's C interface.

`jax.experimental.io_callback` keeps a step off JAX's fast way to start it, and makes
arrays of JAX's from each argument: 260 microseconds a step, where this takes 15. The
layout of the structures is that of `xla/ffi/api/c_api.h`, as `jax.ffi.include_dir()`
has it; only fields that were there in version 0.1 are read, and each structure says
how long it is.
"""

import ctypes
import math
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Function = Callable[..., Sequence[Any]]

_API_VERSION = (0, 1)
_IS_METADATA = 1  # The kind of the only extension that is known.
_EXECUTES = 3  # The stage in which the arrays are there.
_INTERNAL = 13  # The code of an error that no other code fits.
# What has the same bytes in XLA as in NumPy.
_DTYPES = frozenset(
    ["bool", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)

_Pointer, _Size, _Int, _Long = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int64,
)


class _Extension(ctypes.Structure):
    """What a structure may have more, as a list."""


_Extension._fields_ = [  # It holds a pointer to its own kind.
    ("size", _Size),
    ("kind", _Int),
    ("next", ctypes.POINTER(_Extension)),
]
_HEAD: list[tuple[str, Any]] = [
    ("size", _Size),
    ("extension", ctypes.POINTER(_Extension)),
]


class _Version(ctypes.Structure):
    _fields_ = [*_HEAD, ("major", _Int), ("minor", _Int)]


class _Metadata(ctypes.Structure):
    _fields_ = [("size", _Size), ("version", _Version)]


class _MetadataExtension(ctypes.Structure):
    _fields_ = [("base", _Extension), ("metadata", ctypes.POINTER(_Metadata))]


class _ErrorArguments(ctypes.Structure):
    _fields_ = [*_HEAD, ("message", ctypes.c_char_p), ("code", _Int)]


class _Api(ctypes.Structure):
    _fields_ = [
        *_HEAD,
        ("version", _Version),
        ("internal", _Pointer),
        ("make_error", ctypes.CFUNCTYPE(_Pointer, ctypes.POINTER(_ErrorArguments))),
    ]


class _Buffer(ctypes.Structure):
    _fields_ = [
        *_HEAD,
        ("dtype", _Int),
        ("data", _Pointer),
    ]


class _Buffers(ctypes.Structure):
    _fields_ = [
        *_HEAD,
        ("count", _Long),
        ("kinds", _Pointer),
        ("items", ctypes.POINTER(ctypes.POINTER(_Buffer))),
    ]


class _Frame(ctypes.Structure):
    _fields_ = [
        *_HEAD,
        ("api", ctypes.POINTER(_Api)),
        ("context", _Pointer),
        ("stage", _Int),
        ("arguments", _Buffers),
        ("results", _Buffers),
    ]


_Handler = ctypes.CFUNCTYPE(_Pointer, ctypes.POINTER(_Frame))
# Of a thread whose state is kept.
_THIS_THREAD = threading.local()


def takes(dtype: Any) -> bool:
    """Return whether arrays of a dtype can be handed over."""
    return str(np.dtype(dtype)) in _DTYPES


class Call:
    """A function that a step calls, and the arrays that it gets and returns.

    A step has the shapes and dtypes once, when it is traced: to read them from each
    call would take longer than to copy the arrays.

    Args:
        function: Takes the arguments as arrays of its own and returns one array for
            each result. What it raises becomes an error of the step, with its text.
        given: Shape and dtype of each argument.
        returned: The same of each result.
    """

    def __init__(
        self, function: Function, given: Sequence[Any], returned: Sequence[Any]
    ) -> None:
        self._function = function
        self._given = [_layout(each) for each in given]
        self._returned = [_layout(each) for each in returned]

    def run(self, given: Any, returned: Any) -> None:
        """Call the function with copies of the arguments; write down its results."""
        arrays = [
            # A bytearray is a copy that NumPy may write to.
            np.ndarray(shape, dtype, bytearray(kind.from_address(buffer[0].data)))
            if size
            else np.empty(shape, dtype)
            for buffer, (size, kind, dtype, shape) in zip(
                given, self._given, strict=True
            )
        ]
        results = self._function(*arrays)
        for buffer, result, (size, _, dtype, _) in zip(
            returned, results, self._returned, strict=True
        ):
            ctypes.memmove(buffer[0].data, np.asarray(result, dtype).tobytes(), size)


def _layout(of: Any) -> tuple[int, Any, Any, tuple[int, ...]]:
    """Return bytes, their type in C, dtype and shape of an array."""
    dtype = np.dtype(of.dtype)
    size = math.prod(of.shape) * dtype.itemsize
    return size, ctypes.c_char * size, dtype, tuple(of.shape)


def handler(find: Callable[[int], Call]) -> Any:
    """Return a C function for XLA, which runs the call of a number.

    `find` returns the call of that number, a step's first argument. The pointer is for
    `jax.ffi.pycapsule`; the caller has to keep it.
    """

    def call(frame: Any) -> Any:
        frame = frame[0]
        _keep_thread_state()
        try:
            if _is_asked_for_version(frame) or frame.stage != _EXECUTES:
                return None
            given, returned = frame.arguments, frame.results
            arguments = given.items[: given.count]
            number = ctypes.c_int32.from_address(arguments[0][0].data).value
            find(number).run(arguments[1:], returned.items[: returned.count])
        except BaseException as error:  # noqa: BLE001 - C knows no exceptions
            return _error(frame, error)
        return None

    return _Handler(call)


def _keep_thread_state() -> None:
    """Keep what Python makes for a thread of XLA's, until the thread ends.

    Python would make and drop it at each call of a large step, which XLA runs in a
    thread of its own: a third of the time of a call.
    """
    if not hasattr(_THIS_THREAD, "kept"):
        # It is not released again.
        _THIS_THREAD.kept = ctypes.pythonapi.PyGILState_Ensure()


def _is_asked_for_version(frame: Any) -> bool:
    """Answer the question for the version of the interface, if this is it."""
    extension = frame.extension
    while extension:
        if extension.contents.kind == _IS_METADATA:
            found = ctypes.cast(extension, ctypes.POINTER(_MetadataExtension))
            version = found.contents.metadata.contents.version
            version.major, version.minor = _API_VERSION
            return True
        extension = extension.contents.next
    return False


def _error(frame: Any, error: BaseException) -> Any:
    """Make an error of XLA's that has the text and the traceback of Python's."""
    arguments = _ErrorArguments()
    arguments.size = ctypes.sizeof(_ErrorArguments)
    arguments.message = "".join(traceback.format_exception(error)).encode()
    arguments.code = _INTERNAL
    return frame.api.contents.make_error(ctypes.byref(arguments))
