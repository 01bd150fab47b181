from minicnn.compat.distributed import *
