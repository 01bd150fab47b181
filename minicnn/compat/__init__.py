"""Names that PyTorch programs import and that do little here: with them such programs run unchanged.

Each module stands for the one of the same path in PyTorch: `minicnn/compat/amp.py` is `minicnn.amp`, and
`minicnn/compat/utils/hooks.py` is `minicnn.utils.hooks`. Its last line, `door(globals())`, registers it there. Static
checkers find the paths in `minicnn-stubs`.

Three modules are different: the names of `settings` and `tensor_types` are names of `minicnn` itself, and `missing`
says what to use instead of a name that minicnn does not have.
"""
