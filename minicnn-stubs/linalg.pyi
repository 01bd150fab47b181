from minicnn.compat.linalg import *
