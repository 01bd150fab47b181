from minicnn.compat.nn.modules import *
