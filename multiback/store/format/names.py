"""Which names may become a file or a directory in a run directory.

Names come from users' format strings and from manifests of unknown origin, and must
mean the same on every operating system: a run trained on Linux is copied to Windows.
"""

import functools
import re

MAX_NAME_BYTES = 200
# A name in the file system may be longer than one that `commit` accepts: "-v2".
MAX_STORED_NAME = 255
# How deep the folders of another state writer may be.
MAX_PARTS = 8
_SEPARATORS = frozenset("/\\:")


def name_fault(name: object, *, limit: int = MAX_NAME_BYTES) -> str | None:
    """Return why a name cannot be a file's name, or None if it can.

    >>> name_fault("epoch=003-val_f1=0.91") is None
    True
    >>> name_fault("../other")
    'it starts with a dot'
    >>> name_fault("C:weights")
    "it contains ':'"
    """
    if not isinstance(name, str):
        return f"it is a {type(name).__name__}, not a string"
    return _text_fault(name, limit)


# The manifests of a run name the same few files again and again.
@functools.lru_cache(maxsize=256)
def _text_fault(name: str, limit: int) -> str | None:
    """Return why a text cannot be a file's name."""
    if not name:
        return "it is empty"
    if name[0] == ".":
        return "it starts with a dot"
    for character in name:
        if character in _SEPARATORS or not character.isprintable():
            return f"it contains {character!r}"
    if name[-1] in ". ":
        return "it ends with a dot or a space, which Windows drops"
    size = len(name.encode("utf-8"))
    if size > limit:
        return f"it has {size} bytes, and at most {limit} are possible"
    return None


def path_fault(name: object) -> str | None:
    """Return why a text cannot be a file's path in a checkpoint, or None.

    Each part is a name as `name_fault` wants it; parts are joined by "/".

    >>> path_fault("orbax/d/0f3a") is None
    True
    >>> path_fault("orbax/../../other")
    "its part '..': it starts with a dot"
    """
    if not isinstance(name, str) or "/" not in name:
        return name_fault(name, limit=MAX_STORED_NAME)
    parts = name.split("/", MAX_PARTS)
    if len(parts) > MAX_PARTS:
        return f"it has more than {MAX_PARTS} parts"
    for part in parts:
        if fault := name_fault(part, limit=MAX_STORED_NAME):
            return f"its part {part!r:.80}: {fault}"
    return None


def without_secrets(text: str) -> str:
    """Hide user and password in URLs before a text is shown, logged or stored.

    >>> without_secrets("could not open ftp://me:secret@host/run@home")
    'could not open ftp://***@host/run@home'
    """
    return _SECRET.sub(f"://{HIDDEN}@", text)


HIDDEN = "***"
_SECRET = re.compile(r"://[^/\s@]*(?:@[^/\s@]*)*@")


def free_name(name: str, taken: frozenset[str]) -> str:
    """Return `name`, or the first of `name-v2`, `name-v3`, ... that is free.

    Upper and lower case count as one, as they do on macOS and Windows.

    >>> free_name("last", frozenset({"last", "LAST-v2"}))
    'last-v3'
    """
    folded = {other.casefold() for other in taken}
    candidate, version = name, 1
    while candidate.casefold() in folded:
        version += 1
        candidate = f"{name}-v{version}"
    return candidate
