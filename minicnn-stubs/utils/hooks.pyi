from minicnn.compat.utils.hooks import *
