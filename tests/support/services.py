"""Read back what the loggers wrote."""


def scalars(folder):
    """Read TensorBoard's event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), purge_orphaned_data=False)
    events.Reload()
    return events


def wandb_records(data):
    """Read a file of wandb, which is a log of LevelDB's form behind 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    block, at, whole = 32768, 7, b""
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def wandb_rows(records):
    """Return the history of a run of wandb, a mapping of texts for each row."""
    return [
        {(i.key or i.nested_key[0]): i.value_json for i in one.history.item}
        for one in records
        if one.WhichOneof("record_type") == "history"
    ]
