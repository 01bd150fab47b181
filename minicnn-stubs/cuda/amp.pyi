from minicnn.compat.cuda.amp import *
