"""Names that PyTorch programs import and that do little here, so that such programs run as they are.

Each module stands for the one of the same path in PyTorch: `minicnn/compat/amp.py` is `minicnn.amp`, and
`minicnn/compat/utils/hooks.py` is `minicnn.utils.hooks`. Its last line, `door(globals())`, enters it under that path.
Static checkers find the paths in `minicnn-stubs`.

Three modules are of another kind: `settings` and `tensor_types`, whose names are those of `minicnn` itself, and
`missing`, which says of a name that is not here what to use instead.
"""
