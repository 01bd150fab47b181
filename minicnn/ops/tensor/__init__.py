"""The functions of a tensor library: general operations on tensors, and the mechanisms that they are built from.

| subject | files |
|---|---|
| one value in, one value out | `unary` |
| two and three operands | `arithmetic` `clamp` (also maximum, minimum, where) `comparison` |
| many values to one | `reduction` `variance` `max_min` `quantile` `norm` |
| statistics, integrals | `statistics` `calculus` |
| along an axis | `cumulative` `sorting` |
| products | `matmul` `einsum` |
| matrices | `inverses` `decompositions` `linear_algebra` |
| shape | `shape` `expand` `concatenate` `grids` `flip_roll` `diagonal` |
| selecting elements | `indexing` `gather` `masks` `scatter_reduce` `searching` `parts` |
| new tensors | `creation` `from_data` `zeros_like` `ranges` `sampling` |
| types, other libraries | `types` `numbers` `interchange` |
| memory | `strides` |
| in place | `inplace` `inplace_shape` `inplace_sampling` `out` |
| forms of PyTorch's first versions | `old_forms` |
| mechanisms: each operation is a row of a table | `elementwise` `reduction` `linear_map` |
| mechanisms: checks of operands and arguments | `operands` `arguments` `index_parsing` |
| the examples of elementwise functions | `examples` |
| mechanisms: an adjoint that several files need | `scatter_add` |
"""
