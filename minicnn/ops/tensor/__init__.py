"""The tensor surface: what every tensor library has, and the mechanisms that its operations are made of.

| subject | files |
|---|---|
| one value in, one value out | `unary` |
| two and three operands | `arithmetic` `clamp` (also maximum, minimum, where) `comparison` |
| many values to one | `reduction` `variance` `max_min` `norm` |
| along an axis | `cumulative` `sorting` |
| products | `matmul` `einsum` |
| shape | `shape` `concatenate` `flip_roll` `diagonal` |
| parts | `indexing` `gather` `scatter_reduce` `searching` |
| new tensors | `creation` `from_data` `zeros_like` `sampling` |
| types, other libraries | `types` `interchange` |
| in place | `inplace` `inplace_shape` |
| mechanisms: a row of a table is an operation | `elementwise` `reduction` `linear_map` |
| mechanisms: what operands and arguments may be | `operands` `arguments` `index_parsing` |
| mechanisms: an adjoint that others need | `scatter_add` |
"""
