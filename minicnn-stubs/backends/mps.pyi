from minicnn.compat.backends.mps import *
