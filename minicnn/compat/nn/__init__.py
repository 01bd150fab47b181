"""The part of `torch.nn` that is names only: see `modules`."""
