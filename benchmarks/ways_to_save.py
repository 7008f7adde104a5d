"""What `saving.py` lets take turns: ways to save a model, and the limit beside them."""

import os
import shutil

import keras
import numpy as np
import xxhash

import multiback as mb


def variables(model):
    """Return all of the state."""
    return [*model.variables, *model.optimizer.variables]


class Way:
    """One way to save; `save` returns a function that waits, `load` may be absent."""

    load = None

    def __init__(self, model, folder):
        self.model, self.folder = model, folder
        folder.mkdir()

    def close(self):
        """End what runs."""


class Multiback(Way):
    """This package, into buffers that are warm after the first round."""

    buffers = 2

    def __init__(self, model, folder):
        super().__init__(model, folder)
        self.ckpt = mb.Checkpointer(folder, buffers=self.buffers)

    def save(self):
        self.ckpt.step(self.model, {})
        return self.ckpt.wait

    def load(self):
        self.ckpt.wait().tensors()

    def close(self):
        self.ckpt.finish()


class OneBuffer(Multiback):
    """The same with one buffer."""

    buffers = 1


class Keras(Way):
    """`keras.callbacks.ModelCheckpoint`."""

    def save(self):
        callback = keras.callbacks.ModelCheckpoint(str(self.folder / "m.keras"))
        callback.set_model(self.model)
        callback.on_epoch_end(0, {})
        return lambda: None

    def load(self):
        keras.saving.load_model(self.folder / "m.keras")


class Orbax(Way):
    """`keras.callbacks.OrbaxCheckpoint`, in the background too."""

    def __init__(self, model, folder):
        super().__init__(model, folder)
        self.callback = keras.callbacks.OrbaxCheckpoint(str(folder), max_to_keep=1)
        self.callback.set_model(model)
        self.epoch = -1

    def save(self):
        self.epoch += 1
        self.callback.on_epoch_end(self.epoch, {})
        return self.callback.wait_until_finished


class Lightning(Way):
    """Lightning's own way to write a checkpoint, `torch.save` in this thread."""

    def io(self):
        from lightning.pytorch.plugins.io import TorchCheckpointIO

        return TorchCheckpointIO()

    def save(self):
        io = self.io()
        state = {str(i): v.value for i, v in enumerate(variables(self.model))}
        io.save_checkpoint({"state_dict": state}, str(self.folder / "m.ckpt"))
        return io.teardown

    def load(self):
        self.io().load_checkpoint(str(self.folder / "m.ckpt"))


class AsyncLightning(Lightning):
    """The same in Lightning's background thread."""

    def io(self):
        from lightning.pytorch.plugins.io import AsyncCheckpointIO

        return AsyncCheckpointIO(super().io())


class AsyncDcp(Way):
    """torch's distributed checkpoint, `async_save`, in one process."""

    def __init__(self, model, folder):
        super().__init__(model, folder)
        import torch.distributed as dist

        if not dist.is_initialized():
            store = dist.FileStore(str(folder.parent / "store"), 1)
            dist.init_process_group("gloo", store=store, rank=0, world_size=1)

    def save(self):
        import torch.distributed.checkpoint as dcp

        state = {str(i): v.value.detach() for i, v in enumerate(variables(self.model))}
        shutil.rmtree(self.folder, ignore_errors=True)
        future = dcp.async_save(state, checkpoint_id=str(self.folder))
        return future.result


class Limit(Way):
    """A fresh copy, then the least that a writer must do who loses nothing.

    One raw write of the same bytes into a new file beside the old one, fsync, the
    names changed, the directory's fsync, and only then the old file's end. Read back
    plainly, copied and hashed.
    """

    def save(self):
        arrays = [v.numpy() for v in variables(self.model)]

        def write():
            new, raw, old = (self.folder / name for name in ("new", "raw", "old"))
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            for array in arrays:
                view = memoryview(np.ascontiguousarray(array)).cast("B")
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            os.close(descriptor)
            has_old = raw.exists()
            if has_old:
                raw.rename(old)
            new.rename(raw)
            descriptor = os.open(self.folder, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            if has_old:
                old.unlink()

        return write

    def load(self):
        content = (self.folder / "raw").read_bytes()
        np.frombuffer(content, np.uint8).copy()
        xxhash.xxh3_128(content).digest()
