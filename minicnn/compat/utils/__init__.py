"""The parts of `torch.utils` that only give names to things defined elsewhere."""
