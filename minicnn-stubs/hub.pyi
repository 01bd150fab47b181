from minicnn.compat.hub import *
