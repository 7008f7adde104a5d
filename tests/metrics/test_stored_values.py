"""One stored table of values, which every backend has to meet.

It holds float64 oracles of fixed cases, with ties, NaN, a single class and an absent
one among them. After a change of the catalogue: `python tests/oracles.py`.
"""

import json

import numpy as np
import pytest
from catalogue import ENTRIES, datasets, public_names
from contracts import ATOL, RTOL, FloatContract, stream
from oracles import LOSSES, RANKINGS, STORED, oracle

TABLE = json.loads(STORED.read_text())
# Sixteen scores of each of four columns fit.
KEPT = 64


def tolerances(entry):
    """Return what float32 may be off by, relatively and absolutely."""
    if entry.name in RANKINGS:
        return 0.0, 2e-6
    if entry.name == "CalibrationError":
        return 0.0, 200 * 2.0**-24
    if entry.kind in {"numbers", "regression"} or entry.name in LOSSES:
        # Up to three sums, each within the contract's bound.
        return (3 * FloatContract.rtol,) * 2
    return RTOL, ATOL


def test_the_stored_values_are_those_of_the_oracle():
    assert set(TABLE) == set(ENTRIES)
    assert {entry.name for entry in ENTRIES.values()} == set(public_names())
    for name, entry in ENTRIES.items():
        cases = datasets(entry.kind)
        assert set(TABLE[name]) == set(cases)
        for case, data in cases.items():
            expected = oracle(entry, *data)
            stored = np.array(TABLE[name][case])
            np.testing.assert_allclose(stored, expected, rtol=1e-12, err_msg=case)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_this_backend_meets_the_stored_values(entry):
    ranks = entry.name in RANKINGS
    metric = entry.make(**({"capacity": KEPT} if ranks else {}))
    rtol, atol = tolerances(entry)
    for case, data in datasets(entry.kind).items():
        metric.reset_state()
        np.testing.assert_allclose(
            stream(metric, data), TABLE[entry.id][case], rtol, atol, err_msg=case
        )
