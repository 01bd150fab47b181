from minicnn.compat.backends.cuda import *
