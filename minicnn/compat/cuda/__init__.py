"""The part of `torch.cuda` that only gives names to things defined elsewhere: see `amp`."""
