from minicnn.compat.func import *
