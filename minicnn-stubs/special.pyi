from minicnn.compat.special import *
