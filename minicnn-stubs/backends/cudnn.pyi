from minicnn.compat.backends.cudnn import *
