from minicnn.compat.fx import *
