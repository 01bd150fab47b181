from minicnn.compat.utils.model_zoo import *
