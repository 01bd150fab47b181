from minicnn.compat.accelerator import *
