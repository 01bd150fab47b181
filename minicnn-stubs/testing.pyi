from minicnn.compat.testing import *
