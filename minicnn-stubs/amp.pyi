from minicnn.compat.amp import *
