"""How other checkpoint callbacks name their arguments.

`docs/migration.md` has a row for each of them.
"""

import difflib
import inspect
from typing import Any, Self

from multiback.checkpoint.choosing.shown import Shown
from multiback.errors import ArgumentError

OTHER_ARGUMENTS = {
    "backup_dir": 'dirpath="runs/tumour" and resume="auto"',
    "baseline": 'monitor=Monitor("val_f1", where="val_f1 >= 0.9")',
    "ckpt_path": 'resume="auto", or resume= with a checkpoint\'s path',
    "delete_checkpoint": "nothing: a finished run is resumed as finished",
    "double_checkpoint": "nothing: the old one stays until the next is whole",
    "enable_version_counter": "nothing: no name is ever used twice",
    "every_n_train_steps": "nothing: call save() or step() in your loop when it is due",
    "filepath": 'dirpath="runs/tumour", a directory, and filename="{epoch:02d}"',
    "initial_value_threshold": 'monitor=Monitor("val_f1", where="val_f1 >= 0.9")',
    "min_delta": 'monitor=Monitor("val_f1", min_delta=0.01)',
    "options": "nothing: a URL as dirpath= is opened by fsspec",
    "patience": "keras.callbacks.EarlyStopping(patience=...) beside it",
    "period": "every_n_epochs=",
    "restore_best_weights": "restore_best=True",
    "save_best_only": "save_top_k=1, save_last=False; for False save_top_k=-1",
    "save_freq": "every_n_epochs=, or every_n_train_steps= for a number of batches",
    "save_on_exception": "nothing: `with ckpt: model.fit(...)` saves on an error",
    "save_on_train_epoch_end": "monitor= with a name that training logs",
    "smooth": 'monitor=Monitor("val_f1", smooth=0.9)',
    "then": 'keep=[Best("val_f1", then=["val_loss"])]',
    "train_time_interval": "nothing: call save() or step() in your loop when it is due",
    "verbose": "nothing: `multiback ls` shows what was kept",
    "within": 'keep=[Best("val_f1", within="1se")]',
    "where": 'monitor=Monitor("val_f1", where="val_precision >= 0.9")',
}


class KnownArguments(Shown):
    """Raise for an unknown argument, with the right name; also for subclasses.

    In `__new__`, so that `__init__` keeps the signature that people and editors read.
    """

    def __new__(cls, *args: Any, **arguments: Any) -> Self:
        """Check the arguments' names."""
        parameters = inspect.signature(cls.__init__).parameters
        takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        for given in arguments:
            if given in parameters or (takes_any and given not in OTHER_ARGUMENTS):
                continue
            known = [name for name in parameters if name != "self"]
            near = difflib.get_close_matches(given, known, n=1)
            if given in OTHER_ARGUMENTS:
                meant = OTHER_ARGUMENTS[given]
                drop = meant.removeprefix("nothing: ")
                advice = (
                    f"Write {meant}." if meant == drop else f"Leave it out: {drop}."
                )
            elif near:
                advice = f"Did you mean {near[0]}=?"
            else:
                advice = f"It has {', '.join(known)}."
            raise ArgumentError(f"{cls.__name__} has no argument {given}=. {advice}")
        positional = [
            name
            for name, one in parameters.items()
            if one.kind is one.POSITIONAL_OR_KEYWORD and name != "self"
        ]
        if len(args) > len(positional) and not any(
            one.kind is one.VAR_POSITIONAL for one in parameters.values()
        ):
            raise ArgumentError(
                f"{cls.__name__} takes {' and '.join(positional)} by their place, and "
                f"the rest by name: {args[len(positional)]!r:.80} needs one."
            )
        return super().__new__(cls, *args, **arguments)
