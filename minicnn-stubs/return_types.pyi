from minicnn.compat.return_types import *
