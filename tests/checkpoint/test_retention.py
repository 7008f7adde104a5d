"""Which checkpoints stay: cases that people know, and every history there is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from multiback import All, Best, Every, Last, Monitor, Pareto
from multiback.checkpoint.arguments import slots_for
from multiback.checkpoint.retention import Entry, kept
from multiback.errors import ArgumentError

INF = math.inf
F1 = Monitor("f1", mode="max")


def entries(scores, label="f1"):
    return [
        Entry(
            i, epoch=i + 1, step=10 * (i + 1), goodness={} if s is None else {label: s}
        )
        for i, s in enumerate(scores)
    ]


def remaining(scores, slots):
    """Live through a history: each newcomer is judged beside those that stayed."""
    there = []
    for entry in entries(scores):
        both = [*there, entry]
        orders = kept(both, slots)
        there = [each for each in both if each.order in orders]
    return [entry.order for entry in there]


# Lightning's ModelCheckpoint(monitor=, save_top_k=, mode=): the epochs whose files
# are there after the last one, counted from 0 (`check_monitor_top_k`: a newcomer
# must be strictly better than the worst of k; NaN counts as the worst).
LIGHTNING = [
    ([0.1, 0.5, 0.3], 1, "max", [1]),
    ([0.1, 0.5, 0.3], 1, "min", [0]),
    ([0.1, 0.5, 0.3], 2, "max", [1, 2]),
    ([0.1, 0.5, 0.3], 2, "min", [0, 2]),
    ([0.1, 0.5, 0.3], -1, "max", [0, 1, 2]),
    ([0.1, 0.5, 0.3], 0, "max", []),
    ([0.1, 0.5, 0.3], 5, "max", [0, 1, 2]),
    ([0.5, 0.4, 0.3, 0.2], 2, "max", [0, 1]),
    ([0.5, 0.4, 0.3, 0.2], 2, "min", [2, 3]),
    ([0.5, 0.5, 0.5], 1, "max", [0]),
    ([0.5, 0.5, 0.5], 2, "min", [0, 1]),
    ([0.2, 0.9, 0.9, 0.2], 1, "max", [1]),
    ([INF, 0.5, 0.4], 1, "min", [2]),
    ([-INF, 0.5, INF], 1, "max", [2]),
    ([3, 1, 2, 0, 4], 3, "min", [1, 2, 3]),
]


@pytest.mark.parametrize(("scores", "k", "mode", "epochs"), LIGHTNING)
def test_top_k_keeps_what_lightning_keeps(scores, k, mode, epochs):
    slots = slots_for(Monitor("f1", mode=mode), k, save_last=k == 0)
    turned = [score if mode == "max" else -score for score in scores]
    left = remaining(turned, slots)
    assert left == (epochs or [len(scores) - 1])


def test_nan_is_never_best_even_first_and_never_counts_among_the_k():
    assert remaining([None, 0.1, None, 0.5], [Best(F1, 2)]) == [1, 3]
    assert remaining([None, None], [Best(F1)]) == []


def test_of_equals_the_further_monitors_decide_and_then_the_earliest():
    slot = Best("f1", then=[Monitor("recall", mode="max")])
    history = [
        Entry(i, goodness={"f1": 0.5, "recall": recall})
        for i, recall in enumerate([0.2, 0.7, 0.7, 0.1])
    ]
    assert [e.order for e in slot.ranked(history)] == [1, 2, 0, 3]


def test_a_newcomer_that_beats_too_little_is_not_accepted():
    slot = Best(Monitor("f1", mode="max", min_delta=0.1))
    [champion, close, clear] = entries([0.5, 0.55, 0.61])
    assert slot.accepts(champion, [])
    assert not slot.accepts(close, [champion])
    assert slot.accepts(clear, [champion])
    two = Best(Monitor("f1", mode="max", min_delta=0.1), 2)
    assert two.accepts(close, [champion])
    assert not two.accepts(entries([0.55] * 4)[3], [champion, close])


def test_last_holds_the_newest():
    assert remaining([1, 2, 3, 4], [Last(2)]) == [2, 3]


def test_every_so_many_epochs_or_steps_holds_the_first_of_each_period():
    assert remaining([1] * 9, [Every(epochs=3)]) == [2, 5, 8]
    # Epochs end at steps 10, 20, 30, ...: never at a multiple of 25.
    assert remaining([1] * 9, [Every(steps=25)]) == [2, 4, 7]


def test_every_so_many_hours_holds_the_first_of_each_period():
    history = [Entry(i, created=1800.0 * i) for i in range(7)]
    assert [e.order for e in Every(hours=1).held(history)] == [0, 2, 4, 6]


def test_pareto_holds_what_nothing_else_beats():
    slot = Pareto("precision", "recall", mode="max")
    points = [(0.9, 0.1), (0.5, 0.5), (0.4, 0.4), (0.5, 0.5), (0.1, 0.9)]
    history = [
        Entry(i, goodness={"precision": p, "recall": r})
        for i, (p, r) in enumerate(points)
    ]
    history.append(Entry(9, goodness={"precision": 1.0}))
    assert [e.order for e in slot.held(history)] == [0, 1, 4]


def test_slots_are_independent_and_a_checkpoint_stays_for_any_of_them():
    assert remaining([3, 1, 2], [Best(F1), Last()]) == [0, 2]
    assert remaining([3, 1, 2], [All()]) == [0, 1, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Best("f1", 0.5),
        lambda: Best("f1", -2),
        lambda: Best("f1", True),  # noqa: FBT003 - the mistake under test
        lambda: Last(0),
        Every,
        lambda: Every(epochs=1, steps=1),
        lambda: Every(epochs=0),
        lambda: Every(steps=1.5),
        lambda: Every(hours=math.nan),
        lambda: Pareto("f1"),
        lambda: slots_for(None, 3, save_last=True),
        lambda: slots_for(None, 0, save_last=False),
        lambda: slots_for(F1, -2, save_last=True),
    ],
)
def test_a_slot_that_makes_no_sense_is_refused(make):
    with pytest.raises(ArgumentError):
        make()


def brute_force(history, slot):
    """Say by definition what a slot holds of ALL entries that ever came."""
    if isinstance(slot, Best):
        scored = [e for e in history if "f1" in e.goodness]
        beaten_by = {
            e.order: sum(
                (o.goodness["f1"], -o.order) > (e.goodness["f1"], -e.order)
                for o in scored
            )
            for e in scored
        }
        return {o for o, better in beaten_by.items() if slot.k == -1 or better < slot.k}
    if isinstance(slot, Last):
        return {e.order for e in history if history[-1].order - e.order < slot.n}
    if isinstance(slot, Every):
        held = set()
        for e in history:
            period = e.epoch // slot.epochs
            earlier = [o for o in history if o.order < e.order]
            if period and all(o.epoch // slot.epochs != period for o in earlier):
                held.add(e.order)
        return held
    if isinstance(slot, Pareto):
        scored = [e for e in history if {"f1", "p"} <= set(e.goodness)]
        return {
            e.order
            for e in scored
            if not any(
                o.goodness["f1"] >= e.goodness["f1"]
                and o.goodness["p"] >= e.goodness["p"]
                and (o.goodness != e.goodness or o.order < e.order)
                for o in scored
            )
        }
    return {e.order for e in history}


SLOTS = st.lists(
    st.one_of(
        st.integers(-1, 4).map(lambda k: Best(F1, k)),
        st.integers(1, 3).map(Last),
        st.integers(1, 4).map(lambda n: Every(epochs=n)),
        st.just(Pareto("f1", "p", mode="max")),
    ),
    min_size=1,
    max_size=4,
)
SCORE = st.one_of(
    st.none(), st.sampled_from([0.0, 0.5, 1.0, -INF, INF]), st.floats(allow_nan=False)
)


class Retention(RuleBasedStateMachine):
    """Checkpoints come, and what no slot holds goes, one at a time."""

    def __init__(self):
        super().__init__()
        self.slots = None
        self.history = []
        self.on_disk = []

    @rule(f1=SCORE, p=SCORE, epochs=st.integers(0, 2), data=st.data())
    def train(self, f1, p, epochs, data):
        if self.slots is None:
            self.slots = data.draw(SLOTS)
        epoch = epochs + (self.history[-1].epoch if self.history else 0)
        found = {"f1": f1, "p": p}
        goodness = {label: s for label, s in found.items() if s is not None}
        entry = Entry(len(self.history), epoch=epoch, goodness=goodness)
        self.history.append(entry)
        orders = kept([*self.on_disk, entry], self.slots)
        # No step ever holds what was gone before, or leaves less than promised.
        if entry.order in orders:
            self.on_disk.append(entry)
            self.check_promises()
            self.on_disk = [e for e in self.on_disk if e.order in orders]

    @rule()
    def resume(self):
        """A process that starts again knows only what is on the disk."""
        self.on_disk = [Entry(**vars(entry)) for entry in self.on_disk]

    def check_promises(self):
        on_disk = {entry.order for entry in self.on_disk}
        for slot in self.slots:
            assert brute_force(self.history, slot) <= on_disk

    @invariant()
    def the_set_on_disk_is_always_what_the_slots_say(self):
        if self.slots is not None:
            promised = [brute_force(self.history, slot) for slot in self.slots]
            assert {entry.order for entry in self.on_disk} == set().union(*promised)


Retention.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
TestRetention = Retention.TestCase


@given(
    st.lists(st.floats(allow_nan=False), max_size=30),
    st.integers(1, 3),
    st.floats(0, 2),
)
def test_with_min_delta_the_best_is_never_far_behind_and_never_falls(scores, k, delta):
    slot = Best(Monitor("f1", mode="max", min_delta=delta), k)
    there, best = [], -INF
    for entry in entries(scores):
        if not slot.accepts(entry, there):
            entry = Entry(entry.order)  # noqa: PLW2901 - as the engine does
        there = slot.held([*there, entry])
        top = slot.ranked(there)[0].goodness["f1"]
        assert top >= best
        best = top
        # Within delta, but for the rounding of the sum.
        seen = max(scores[: entry.order + 1])
        worst = there[-1].goodness["f1"]
        assert len(there) < k or seen <= top or seen <= worst + delta
