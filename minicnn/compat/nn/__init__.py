"""The part of `torch.nn` that only gives names to things defined elsewhere: see `modules`."""
