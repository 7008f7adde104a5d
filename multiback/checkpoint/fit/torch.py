"""PyTorch's global generators, for `generators.py`; import only with torch."""

import numpy as np
import torch

_DEVICE = "torch/{}"


def torch_generators() -> dict[str, np.ndarray]:
    """Copy the states of the CPU's generator and of each GPU's."""
    states = {"torch": torch.get_rng_state()}
    # Asking an unused GPU would initialise it.
    if torch.cuda.is_initialized():
        for number, state in enumerate(torch.cuda.get_rng_state_all()):
            states[_DEVICE.format(number)] = state
    return {name: np.array(state.numpy()) for name, state in states.items()}


def restore_torch_generators(states: dict[str, np.ndarray]) -> None:
    """Restore the states of the devices that exist."""
    if "torch" in states:
        torch.set_rng_state(torch.from_numpy(np.array(states["torch"])))
    for number in range(torch.cuda.device_count()):
        if _DEVICE.format(number) in states:
            state = torch.from_numpy(np.array(states[_DEVICE.format(number)]))
            torch.cuda.set_rng_state(state, number)
