from minicnn.compat.backends.mkldnn import *
