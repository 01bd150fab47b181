from minicnn.compat.jit import *
