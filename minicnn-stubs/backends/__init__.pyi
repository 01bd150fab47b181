from minicnn.compat.backends import *
