"""Write docs/peers.md from the counts of the backends.

Use: `python -m support.peers.page docs/peers.md torch.json jax.json tensorflow.json`.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from support.peers.conventions import CONVENTIONS

HEAD = """\
# scikit-learn's own tests, answered by multiback

Written by `nox -s peers`; run it again instead of editing this page.

scikit-learn's wheel brings its tests of metrics: `test_common`, `test_classification`,
`test_ranking` and `test_regression`. They run here with its functions replaced: each
call is also answered by a metric of multiback, which is given the rows in random
batches, and the two answers are compared to within float32. Scores outside of [0, 1]
are ranked into it first, since multiback's areas take probabilities. A call that
scikit-learn refuses is not counted. {backends}

| function | agrees | differs by a convention | not applicable |
|---|---|---|---|
"""


def read(paths):
    """Return the verdicts by function, which have to be alike on all backends.

    Raises:
        SystemExit: Backends differ, or a difference has no convention.
    """
    counted = {Path(path).stem: json.loads(Path(path).read_text()) for path in paths}
    first, *rest = (each["counts"] for each in counted.values())
    if any(each != first for each in rest):
        lines = {json.dumps(one) for each in (first, *rest) for one in each}
        both = {json.dumps(one) for one in first if all(one in each for each in rest)}
        sys.exit("Backends differ:\n" + "\n".join(sorted(lines - both)))
    for each in counted.values():
        for name, examples in each["examples"].items():
            sys.exit(f"{name} differs without a convention:\n" + "\n".join(examples))
    return list(counted), first


def table(counts):
    """Return the table's lines, and the functions that have no metric."""
    verdicts = defaultdict(lambda: defaultdict(Counter))
    for name, verdict, reason, count in counts:
        verdicts[name][verdict][reason] += count
    lines, without = [], []
    for name, by in sorted(verdicts.items()):
        if set(by) == {"not applicable"}:
            without.append(f"`{name}`")
            continue
        cells = [
            ", ".join(
                f"{reason} ({count})" for reason, count in sorted(by[one].items())
            )
            for one in ("differs", "not applicable")
        ]
        lines.append(f"| `{name}` | {by['agrees'].total()} | {cells[0]} | {cells[1]} |")
    return lines, without


def main(out, *paths):
    """Write the page."""
    backends, counts = read(paths)
    lines, without = table(counts)
    head = HEAD.format(backends=f"The answers are alike on {', '.join(backends)}.")
    text = head + "\n".join(lines) + "\n\n## The conventions\n\n"
    for name, shown in CONVENTIONS.items():
        text += f"- **{name}**: {shown.__doc__}\n"
    text += (
        "\n## No metric\n\nmultiback has no metric for " + ", ".join(without) + ".\n"
    )
    Path(out).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
