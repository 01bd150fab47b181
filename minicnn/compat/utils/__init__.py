"""The parts of `torch.utils` that are names only."""
