"""The part of `torchvision.ops` that only gives names to things defined elsewhere: see `misc`."""
