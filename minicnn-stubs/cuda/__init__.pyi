from minicnn.compat.cuda import *
