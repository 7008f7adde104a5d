"""Change valid files as damage or a forger would, for property tests.

MULTIBACK_FUZZ multiplies the examples; a torture session asks for many.
"""

import copy
import json
import os

import xxhash
from hypothesis import settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("MULTIBACK_FUZZ", "1"))


def examples(number):
    """Return settings for a property test that runs in moments here."""
    return settings(max_examples=number * TIMES)


def nested(depth):
    value = "NaN"
    for _ in range(depth):
        value = [value]
    return value


BAD = [
    *(None, True, False, -1, 0, 1, 0.5, -0.0, 1e308, 10**30, 2**63, -(2**63) - 1),
    *("", "NaN", "-Infinity", "~", "../../etc/passwd", "/dev/zero", "\x00", "é" * 300),
    *([], {}, [[]], [None], [{}], {"": {}}, {"array": []}, {"class_name": []}),
    *({"__class__": "os"}, nested(200)),
]


def places(document, path=()):
    """List the path of every value in a JSON document."""
    yield path
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from places(value, (*path, number))


@st.composite
def mutated(draw, document, bad=BAD):
    """Replace, delete, repeat or swap up to three values of a JSON document."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(document))))
        how = draw(st.sampled_from(["replace", "replace", "delete", "wrap", "move"]))
        value = copy.deepcopy(draw(st.sampled_from(bad)))
        if not path:
            if how == "replace":
                return value
            continue
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        if how == "replace":
            parent[path[-1]] = value
        elif how == "delete":
            del parent[path[-1]]
        elif how == "wrap":
            parent[path[-1]] = [parent[path[-1]]]
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(["", "x", *parent]))] = parent.pop(path[-1])
        else:
            parent.append(parent[path[-1]])
    return document


@st.composite
def damaged(draw, content):
    """Flip bits, cut, repeat or insert bytes."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        how = draw(st.sampled_from(["flip", "flip", "cut", "drop", "insert"]))
        if how == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del content[at:]
        elif how == "drop":
            del content[at : at + draw(st.integers(1, 8))]
        else:
            content[at:at] = draw(st.binary(max_size=20) | st.just(b"[" * 2000))
    return bytes(content)


def sealed(fields):
    """Write a manifest with the checksum that fits: not damage but intent."""
    body = json.dumps(fields, indent=1)[1:].encode() + b"\n"
    return b'{\n "checksum": "%s",' % xxhash.xxh3_128_hexdigest(body).encode() + body


def forge(checkpoint, name, content):
    """Give a checkpoint's file another content, and the manifest that fits."""
    (checkpoint.path / name).write_bytes(content)
    manifest = checkpoint.path / "manifest.json"
    fields = json.loads(manifest.read_bytes())
    del fields["checksum"]
    digest = xxhash.xxh3_128_hexdigest(content)
    fields["files"][name] = {"size": len(content), "xxh3": digest}
    manifest.write_bytes(sealed(fields))
