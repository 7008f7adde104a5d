"""torch: its processes, and its distributed checkpoint as a state writer."""

import datetime as dt
import inspect
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from multiback.distributed.formats import Write, not_written, writer_errors
from multiback.distributed.ranks import Ranks
from multiback.errors import MissingPackageError
from multiback.state import is_sharded
from multiback.state.torch import tensor
from multiback.store.format.tensor_file import Array
from multiback.store.format.tensor_header import NATIVE
from multiback.store.sharded.regions import Region

# torch warns that a single process saves alone, which is intended.
_ALONE = "torch.distributed is disabled, unavailable or uninitialized"


class StoreMessages:
    """Messages through the store that connected the processes."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def put(self, key: str, value: bytes) -> None:
        """Set a new key."""
        self._store.set(key, value)

    def take(self, key: str) -> bytes | None:
        """Return a key's value; None before it is set."""
        # Waiting in `get` would block the store for other threads of this process.
        return bytes(self._store.get(key)) if self._store.check([key]) else None

    def drop(self, key: str) -> None:
        """Delete a key."""
        self._store.delete_key(key)


def ranks() -> Ranks | None:
    """Return the processes of `init_process_group`; None where there is one."""
    if not dist.is_available() or not dist.is_initialized():
        return None
    size = dist.get_world_size()
    if size == 1:
        return None
    # Private, but the only way to a group's store; a test notices a change.
    store = dist.distributed_c10d._get_default_store()  # noqa: SLF001
    # The time-out of `init_process_group`.
    timeout = store.timeout.total_seconds()
    return Ranks(StoreMessages(store), dist.get_rank(), size, timeout)


class DistributedCheckpoint:
    """Write with torch.distributed.checkpoint, in its layout of safetensors files.

    Each array that every process holds whole is written by one of them; each process
    writes its shard of a DTensor. The copies stay on the devices of the DTensors until
    they are written.
    """

    def __init__(self, ranks: Ranks | None) -> None:
        # Imported here, because every training under torch imports this file.
        from torch.distributed import checkpoint  # noqa: PLC0415

        self._dcp = _checked(checkpoint)
        self._group: Any = None
        if ranks is not None:
            # A separate group on the host, because a save runs beside the training's
            # collectives.
            limit = dt.timedelta(seconds=ranks.timeout)
            self._group = dist.new_group(backend="gloo", timeout=limit)
        else:
            warnings.filterwarnings("ignore", message=_ALONE, category=UserWarning)

    def stage(self, values: Mapping[str, Any]) -> tuple[set[str], Write]:
        """Copy the tensors; see `StateWriter.stage`."""
        copies = {
            key: _copy(value)
            for key, value in values.items()
            if isinstance(value, torch.Tensor) and value.dtype in _DTYPES
        }

        def write(folder: Path) -> None:
            # Without an index there is one file per process, and each file describes
            # itself.
            dcp = self._dcp
            writer = dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True)
            try:
                with writer_errors(folder):
                    dcp.save(
                        copies,
                        storage_writer=writer,
                        process_group=self._group,
                        no_dist=self._group is None,
                    )
            except dcp.CheckpointException as error:
                # It is not an Exception, and its text is every rank's traceback.
                rank, (cause, _) = min(error.failures.items())
                alone = self._group is None
                raise not_written(folder, cause, None if alone else rank) from error

        return set(copies), write


# The dtypes that both the layout and our reader can name.
_DTYPES = frozenset(
    getattr(torch, dtype.name)
    for dtype in NATIVE.values()
    if hasattr(torch, dtype.name)
)


def _checked(checkpoint: Any) -> Any:
    """Raise unless torch writes safetensors in parts."""
    writer = getattr(checkpoint, "HuggingFaceStorageWriter", None)
    if writer and "save_distributed" in inspect.signature(writer).parameters:
        return checkpoint
    raise MissingPackageError(
        f'format="dcp" needs a torch that writes safetensors in parts, and this is '
        f"{torch.__version__}. Run pip install --upgrade torch"
    )


def _copy(value: torch.Tensor) -> torch.Tensor:
    """Copy a tensor to the host; a DTensor stays where it is."""
    plain = value.detach()
    if is_sharded(plain):
        return plain.clone()
    return plain.to("cpu", copy=True).contiguous()


def regions(like: Any) -> list[Region] | None:
    """Return this process's region of a DTensor; None if torch does not say.

    torch's distributed checkpoint makes the same call.
    """
    ask = getattr(like, "__create_chunk_list__", None)
    chunks = [] if ask is None else ask()
    local = tuple(like.to_local().shape)
    # Skip shards that are empty or not contiguous.
    if len(chunks) != 1 or tuple(chunks[0].sizes) != local:
        return None
    [chunk] = chunks
    return [
        tuple(
            (int(begin), int(begin + size))
            for begin, size in zip(chunk.offsets, chunk.sizes, strict=True)
        )
    ]


def build(like: Any, regions: Sequence[Region], parts: Sequence[Array]) -> Any:
    """Make a DTensor sharded like another one, from this process's shard."""
    del regions
    made = torch.empty_like(like)
    made.to_local().copy_(tensor(parts[0]))
    return made


def state_writer(ranks: Ranks | None) -> DistributedCheckpoint:
    """Make the state writer of `format="dcp"`; every process at the same point."""
    return DistributedCheckpoint(ranks)
