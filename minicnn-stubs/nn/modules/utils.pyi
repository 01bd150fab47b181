from minicnn.compat.nn.modules.utils import *
from minicnn.compat.nn.modules.utils import _list_with_default as _list_with_default
from minicnn.compat.nn.modules.utils import _ntuple as _ntuple
from minicnn.compat.nn.modules.utils import _pair as _pair
from minicnn.compat.nn.modules.utils import _quadruple as _quadruple
from minicnn.compat.nn.modules.utils import _reverse_repeat_tuple as _reverse_repeat_tuple
from minicnn.compat.nn.modules.utils import _single as _single
from minicnn.compat.nn.modules.utils import _triple as _triple
