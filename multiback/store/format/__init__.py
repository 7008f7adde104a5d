"""How a checkpoint is written down: names, manifests, arrays."""
