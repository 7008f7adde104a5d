"""Files as torch's distributed checkpoint writes them, and checkpoints with such."""

import json

from multiback.store import Request, RunDirectory


def piece(path, arrays, places=None):
    """Write one process's file: arrays, and where in the whole each belongs."""
    metadata = {"format": "pt", "DCP_VERSION": "1.0"}
    if places is not None:
        offsets = {key: {"saved_offsets": at} for key, at in places.items()}
        metadata["DCP_SHARDING_INFO"] = json.dumps(offsets)
    header, data = {"__metadata__": metadata}, b""
    for key, array in arrays.items():
        header[key] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.astype("<f4").tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def commit_dcp(directory, write, tensors):
    """Commit a checkpoint whose folder `write` writes."""
    request = Request(
        "one",
        run_id="a",
        tensors=tensors,
        epoch=1,
        step=1,
        metrics={},
        state_format="dcp",
        write_state=write,
    )
    return RunDirectory(directory).commit(request)
