"""The process whose system calls test_system_calls.py records and replays.

Run as `traced_writer RUN LOG HOW`: it commits with rising and falling scores and
keeps the best and the last, "here", in the "background", or through Keras's "fit".
"""

import os
import sys

SCORES = (3, 5, 4, 7, 1, 2, 8, 6)


def store_only(log, run, how):
    """Use the store without Keras."""
    import numpy as np
    from support.storing import without_keras  # noqa: F401

    from multiback.store import Request, RunDirectory, Writer

    runs = RunDirectory(run)
    runs.start_run("traced", {"how": how})
    writer = Writer(runs)

    def after(saved):
        log(f"committed {saved.metrics['score']}")
        ranked = sorted(runs.checkpoints(), key=lambda one: one.metrics["score"])
        runs.point("best", ranked[-1])
        runs.point("last", saved)
        for one in runs.checkpoints()[:-1]:
            if one != ranked[-1]:
                runs.remove(one, run_id="traced")

    for epoch, score in enumerate(SCORES):
        fields = {
            "run_id": "traced",
            "tensors": {"kernel": np.full((64, 3), score, np.float32)},
            "documents": {"trainer": {"score": score}},
            "epoch": epoch + 1,
            "step": 0,
            "metrics": {"score": score},
            "architecture": {"layers": score % 2},
        }
        runs.append_history({"run_id": "traced", "score": score})
        if how == "background":
            writer.submit(Request(f"epoch={epoch}", **fields), then=after)
        else:
            after(runs.commit(Request(f"epoch={epoch}", **fields)))
    writer.close()


def through_fit(log, run):
    """Use the callback."""
    import keras
    from support.fitting.problem import Says, fit, model

    import multiback as mb

    class Notes(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 - Keras's signature
            # Every other epoch, so that commits also overlap with training.
            if epoch % 2:
                callback.wait()
                for score in SCORES[epoch - 1 : epoch + 1]:
                    log(f"committed {score}")

    monitor = mb.Monitor("score", mode="max", early=False)
    callback = mb.ModelCheckpoint(run, monitor)
    says = Says(score=[float(score) for score in SCORES])
    fit(model("accuracy"), says, callback, Notes(), epochs=len(SCORES))


def main(run, log, how):
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(line):
        os.write(descriptor, f"{line}\n".encode())

    if how == "fit":
        through_fit(note, run)
    else:
        store_only(note, run, how)


main(*sys.argv[1:])
