"""A disk that forgets: what may be left of a run directory when the power goes.

What was fsynced is there. Otherwise a file kept some of its writes, perhaps half of
one, with zeros in place of the others; a directory kept some of its changes, in order
or not.
"""

from dataclasses import dataclass, field

KILLED = "killed"
WORST = "worst"


@dataclass
class File:
    """A file's content, what of it is certain, and what was written since."""

    data: bytes = b""
    durable: bytes = b""
    pending: list = field(default_factory=list)

    def write(self, position, data):
        self.data = written(self.data, position, data)
        self.pending.append((position, data))

    def append(self, data):
        self.write(len(self.data), data)

    def truncate(self, size):
        self.data = self.data[:size].ljust(size, b"\0")
        self.pending.append((size, None))

    def sync(self):
        self.durable, self.pending = self.data, []

    def survivors(self, dice):
        """Return the content after a power cut; without dice, the worst case."""
        content = self.durable
        for position, data in self.pending if dice else ():
            fate = dice.choice(["kept", "torn", "zeros", "lost"])
            if data is None:
                if fate != "lost":
                    content = content[:position].ljust(position, b"\0")
            elif fate == "kept":
                content = written(content, position, data)
            elif fate == "torn":
                content = written(content, position, data[: len(data) // 2])
            elif fate == "zeros":
                # The size is on the disk, the data is not.
                content = written(content, position, bytes(len(data)))
        return content


def written(content, position, data):
    content = content.ljust(position, b"\0")
    return content[:position] + data + content[position + len(data) :]


@dataclass
class Directory:
    """A directory's entries as a log of changes, and how many are certain."""

    log: list = field(default_factory=list)
    durable: int = 0

    def entries(self, kept=None):
        entries = {}
        for number, (name, node, old_name) in enumerate(self.log):
            if kept is not None and number not in kept:
                continue
            if old_name is not None:
                entries.pop(old_name, None)
            if node is None:
                entries.pop(name, None)
            else:
                entries[name] = node
        return entries

    def sync(self):
        self.durable = len(self.log)

    def survivors(self, dice):
        """Return the changes that a power cut leaves."""
        certain = set(range(self.durable))
        if dice is None:
            return certain
        if dice.random() < 0.5:
            return set(range(dice.randint(self.durable, len(self.log))))
        rest = range(self.durable, len(self.log))
        return certain | {number for number in rest if dice.random() < 0.5}


NEW = {"create": File, "make_directory": Directory}


class Link(str):
    """A symbolic link's target."""

    __slots__ = ()


class Disk:
    """What the operating system was asked to hold, and what it must hold."""

    def __init__(self, root, tree):
        self.root = root
        self.tree = tree

    def node(self, path):
        node = self.tree
        for part in path.relative_to(self.root).parts:
            node = node.entries()[part]
        return node

    def change(self, path, node, old_name=None):
        self.node(path.parent).log.append((path.name, node, old_name))

    def apply(self, kind, path, *rest):
        if kind == "rename":
            assert path.parent == rest[0].parent, "two directories: two fsyncs"
            self.change(rest[0], self.node(path), path.name)
        elif kind == "delete":
            self.change(path, None)
        elif kind == "symlink":
            self.change(path, Link(rest[0]))
        elif kind in NEW:
            self.change(path, NEW[kind]())
        else:
            getattr(self.node(path), kind)(*rest)


def scanned(path):
    """Read a directory into a tree that is wholly on the disk."""
    tree = Directory()
    for child in sorted(path.iterdir()):
        if child.is_symlink():
            node = Link(child.readlink())
        elif child.is_dir():
            node = scanned(child)
        else:
            content = child.read_bytes()
            node = File(content, content)
        tree.log.append((child.name, node, None))
    tree.durable = len(tree.log)
    return tree


def materialize(tree, path, *, power_cut, dice):
    """Write out what survives."""
    path.mkdir()
    kept = tree.survivors(dice) if power_cut else None
    for name, node in tree.entries(kept).items():
        if isinstance(node, Link):
            (path / name).symlink_to(node)
        elif isinstance(node, Directory):
            materialize(node, path / name, power_cut=power_cut, dice=dice)
        else:
            content = node.survivors(dice) if power_cut else node.data
            (path / name).write_bytes(content)
