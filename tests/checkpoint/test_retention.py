"""Which checkpoints stay: cases that people know, and every history there is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from support import lightning_cases

from multiback import All, Best, Every, Last, Monitor, Pareto
from multiback.checkpoint.arguments import slots_for
from multiback.checkpoint.choosing.ranking import Entry
from multiback.checkpoint.choosing.recorded_scores import RecordedScores
from multiback.checkpoint.choosing.slots import kept
from multiback.errors import ArgumentError

INF = math.inf
F1 = Monitor("f1", mode="max")


def entries(scores, label="f1"):
    return [
        Entry(
            i,
            epoch=i + 1,
            step=10 * (i + 1),
            ranking_scores={} if s is None else {label: s},
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


def left_by(scores, k, mode, **arguments):
    """Return the epochs that stay under Lightning's arguments, as the engine judges."""
    slots = slots_for(Monitor("f1", mode=mode), k, **{"save_last": k == 0, **arguments})
    turned = [score if mode == "max" else -score for score in scores]
    return remaining([None if math.isnan(s) else s for s in turned], slots)


@pytest.mark.parametrize(("scores", "k", "mode", "epochs"), lightning_cases.SAME)
def test_top_k_keeps_what_lightning_keeps(scores, k, mode, epochs):
    assert left_by(scores, k, mode) == (epochs or [len(scores) - 1])


@pytest.mark.parametrize(
    ("scores", "k", "mode", "theirs", "ours"), lightning_cases.DIFFERENT
)
def test_where_lightning_drops_the_earlier_of_equals_or_keeps_nan_we_do_not(
    scores, k, mode, theirs, ours
):
    assert left_by(scores, k, mode) == ours != theirs


@pytest.mark.parametrize(("scores", "k", "mode", "theirs"), lightning_cases.LAST)
def test_save_last_keeps_the_newest_and_not_what_was_written_last(
    scores, k, mode, theirs
):
    left = left_by(scores, k, mode, save_last=True)
    assert left[-1] == len(scores) - 1 >= theirs


def test_nan_is_never_best_even_first_and_never_counts_among_the_k():
    assert remaining([None, 0.1, None, 0.5], [Best(F1, 2)]) == [1, 3]
    assert remaining([None, None], [Best(F1)]) == []


def test_of_equals_the_further_monitors_decide_and_then_the_earliest():
    slot = Best("f1", then=[Monitor("recall", mode="max")])
    history = [
        Entry(i, ranking_scores={"f1": 0.5, "recall": recall})
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
        Entry(i, ranking_scores={"precision": p, "recall": r})
        for i, (p, r) in enumerate(points)
    ]
    history.append(Entry(9, ranking_scores={"precision": 1.0}))
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


def beats(one, other, labels):
    """Return whether one entry stands before another: by scores, then by age."""
    for label in labels:
        mine, theirs = (e.ranking_scores.get(label, -INF) for e in (one, other))
        if mine != theirs:
            return mine > theirs
    return one.order < other.order


def brute_force(history, slot):
    """Say by definition what a slot holds of ALL checkpoints that ever came."""
    orders = {e.order for e in history}
    if isinstance(slot, All):
        return orders
    if isinstance(slot, Last):
        return set(sorted(orders)[-slot.n :])
    if isinstance(slot, Best):
        scored = [e for e in history if "f1" in e.ranking_scores]
        labels = [monitor.label for monitor in slot.monitors]
        better = {e.order: sum(beats(o, e, labels) for o in scored) for e in scored}
        return {o for o, n in better.items() if slot.k == -1 or n < slot.k}
    if isinstance(slot, Pareto):
        scored = [e for e in history if {"f1", "p"} <= set(e.ranking_scores)]
        return {
            e.order
            for e in scored
            if not any(
                o.ranking_scores["f1"] >= e.ranking_scores["f1"]
                and o.ranking_scores["p"] >= e.ranking_scores["p"]
                and (o.ranking_scores != e.ranking_scores or o.order < e.order)
                for o in scored
            )
        }
    if slot.hours is not None:
        held, since = set(), -INF
        for e in history:
            if e.created >= since + 3600 * slot.hours:
                held.add(e.order)
                since = e.created
        return held
    held = set()
    for e in history:
        period, before = (
            (e.epoch // slot.epochs, [o.epoch // slot.epochs for o in history])
            if slot.epochs
            else (e.step // slot.steps, [o.step // slot.steps for o in history])
        )
        if period and period not in before[: history.index(e)]:
            held.add(e.order)
    return held


def promised(history, slots):
    """Say which of all checkpoints that ever came have to be there."""
    held = set().union(*(brute_force(history, slot) for slot in slots))
    return held | {e.order for e in history if e.asked}


SLOT = st.one_of(
    st.builds(
        Best,
        st.just(F1),
        st.integers(-1, 4),
        then=st.sampled_from([(), (Monitor("p", mode="max"),)]),
    ),
    st.integers(1, 3).map(Last),
    st.just(All()),
    st.integers(1, 4).map(lambda n: Every(epochs=n)),
    st.integers(1, 40).map(lambda n: Every(steps=n)),
    st.sampled_from([0.25, 1.0, 3.0]).map(lambda n: Every(hours=n)),
    st.just(Pareto("f1", "p", mode="max")),
)
# Few values, so that there are ties.
SCORE = st.one_of(
    st.sampled_from([None, math.nan, 0.0, 0.5, 0.5, 1.0, -INF, INF]),
    st.floats(allow_nan=False),
)


class Retention(RuleBasedStateMachine):
    """Checkpoints come, disks fail, processes start again; unheld checkpoints go.

    `history` is every checkpoint but those that could not be written; `on_disk` is the
    content of the disk, which may include failed removals.
    """

    def __init__(self):
        super().__init__()
        self.slots = [All()]
        self.history, self.on_disk = [], []
        self.order = self.epoch = self.step = 0
        self.created = 0.0

    @initialize(slots=st.lists(SLOT, min_size=1, max_size=4))
    def begin(self, slots):
        self.slots = slots

    @rule(
        scores=st.tuples(SCORE, SCORE),
        epochs=st.integers(0, 2),
        steps=st.integers(0, 30),
        hours=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
        boundary=st.sampled_from([True, True, False]),
        asked=st.sampled_from([False, False, False, True]),
        fails=st.sampled_from([None, None, None, "commit", "removal"]),
    )
    def train(self, *, scores, epochs, steps, hours, boundary, asked, fails):
        self.order += 1
        self.epoch, self.step = self.epoch + epochs, self.step + steps
        self.created += 3600 * hours
        modes = {"f1": "max", "p": "max"}
        measured = dict(zip(modes, scores, strict=True))
        # In the middle of an epoch there is no score.
        measured = {k: v for k, v in measured.items() if v is not None and boundary}
        entry = Entry(
            self.order,
            epoch=self.epoch,
            step=self.step,
            created=self.created,
            ranking_scores=RecordedScores(measured, modes).ranking_scores,
            boundary=boundary,
            asked=asked,
        )
        holding = kept([*self.on_disk, entry], self.slots)
        if fails == "commit":
            return
        self.history.append(entry)
        if entry.order in holding:
            # First the new one, then unheld ones, as `KeptCheckpoints.tidy` does.
            self.on_disk.append(entry)
            self.no_promise_is_broken()
            self.tidy(holding, fails)

    def tidy(self, holding, fails):
        doomed = [e for e in self.on_disk if e.order not in holding]
        if fails == "removal":
            doomed = doomed[: len(doomed) // 2]
        whole = [e for e in self.on_disk if e.boundary]
        self.on_disk = [e for e in self.on_disk if e not in doomed]
        if whole:
            assert any(e.boundary for e in self.on_disk), "nothing to resume from"
        if fails is None:
            more = {e.order for e in self.on_disk} - promised(self.history, self.slots)
            # At most the epoch's end before a checkpoint of its middle.
            assert len(more) <= (not self.on_disk[-1].boundary)

    @rule()
    def restart(self):
        """A process that starts again knows only what is on the disk."""
        self.on_disk = [Entry(**vars(entry)) for entry in self.on_disk]

    @invariant()
    def no_promise_is_broken(self):
        there = {entry.order for entry in self.on_disk}
        assert promised(self.history, self.slots) <= there


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
        top = slot.ranked(there)[0].ranking_scores["f1"]
        assert top >= best
        best = top
        # Within delta, but for the rounding of the sum.
        seen = max(scores[: entry.order + 1])
        worst = there[-1].ranking_scores["f1"]
        assert len(there) < k or seen <= top or seen <= worst + delta
