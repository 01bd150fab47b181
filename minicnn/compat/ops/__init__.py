"""The part of `torchvision.ops` that is names only: see `misc`."""
