"""Show "Call arguments" of a docstring on the site as a list.

mkdocstrings knows sections by their names, and shows one that it does not know as a
single paragraph. mkdocs.yml names this file.
"""

import re

import griffe

SECTION = re.compile(r"^Call arguments:\n((?:[ ]{4}.*\n|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\w+): ", re.MULTILINE)


class CallArguments(griffe.Extension):
    """Write the section as a list, whose entries begin with the argument's name."""

    def on_class(self, *, cls, **_more):
        """Change the docstring of one class."""
        if cls.docstring is not None:
            cls.docstring.value = SECTION.sub(listed, cls.docstring.value + "\n")


def listed(section):
    """Return the section as Markdown."""
    entries = ENTRY.sub(r"    - `\1`: ", section[1])
    return "**Called with:**\n\n" + re.sub("^ {4}", "", entries, flags=re.MULTILINE)
