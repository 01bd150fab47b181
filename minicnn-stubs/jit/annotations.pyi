from minicnn.compat.jit.annotations import *
