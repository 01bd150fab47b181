"""Loops whose sums stay in vector registers, written in LLVM's own language; see `code.py`.

`products.py`: a tile of a matrix product, for `conv2d/implicit.py`. `taps.py`: a tile of a convolution, and of the
gradient of its weights, for `conv2d/registers.py`.
"""
