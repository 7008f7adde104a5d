"""Orbax as a state writer: each process writes its own shards of JAX arrays."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from multiback.distributed.formats import Write, writer_errors
from multiback.distributed.ranks import Ranks


class Orbax:
    """Write with Orbax, uncompressed: so a reader knows how large an array may be.

    The copies stay on the devices until they are written.
    """

    def __init__(self, ranks: Ranks | None) -> None:
        self._ranks = ranks
        self._saves = 0
        # Orbax logs a line for each step of each save.
        logging.getLogger("absl").setLevel(
            max(logging.getLogger("absl").level, logging.WARNING)
        )

    def stage(self, values: Mapping[str, Any]) -> tuple[set[str], Write]:
        """Copy the arrays; see `StateWriter.stage`."""
        copies = {
            key: _copy(value)
            for key, value in values.items()
            # Orbax refuses arrays without elements; and, among several processes, local
            # arrays, where rank 0's value counts.
            if isinstance(value, jax.Array)
            and value.size
            and (self._ranks is None or not value.is_fully_addressable)
            and not jnp.issubdtype(value.dtype, jax.dtypes.extended)
        }
        self._saves += 1
        return set(copies), _Save(copies, self._options(self._saves))

    def _options(self, number: int) -> Any:
        if self._ranks is None:
            return ocp.options.MultiprocessingOptions()
        # With named processes Orbax waits through JAX's service. Otherwise it uses a
        # collective, which must not run beside the training's own.
        return ocp.options.MultiprocessingOptions(
            active_processes=set(range(self._ranks.size)),
            barrier_sync_key_prefix=f"multiback-{self._ranks.name}-{number}",
        )


class _Save:
    """Write copies into a folder."""

    def __init__(self, copies: Mapping[str, jax.Array], options: Any) -> None:
        self._copies = copies
        self._options = options

    def __call__(self, folder: Path) -> None:
        if not self._copies:
            return
        handler = ocp.PyTreeCheckpointHandler(
            use_compression=False, multiprocessing_options=self._options
        )
        with (
            writer_errors(folder),
            ocp.Checkpointer(
                handler, multiprocessing_options=self._options
            ) as checkpointer,
        ):
            # A "/" in a name would create a folder.
            named = {quote(key, safe=""): one for key, one in self._copies.items()}
            checkpointer.save(folder, args=ocp.args.PyTreeSave(named))


def _copy(value: jax.Array) -> jax.Array:
    """Copy this process's shards: the next step may take them over."""
    return jax.make_array_from_single_device_arrays(
        value.shape,
        value.sharding,
        [jnp.copy(shard.data) for shard in value.addressable_shards],
    )


def state_writer(ranks: Ranks | None) -> Orbax:
    """Make the state writer of `format="orbax"`; every process at the same point."""
    return Orbax(ranks)
