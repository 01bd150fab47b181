from minicnn.compat.utils.dlpack import *
