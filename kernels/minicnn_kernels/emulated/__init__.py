"""CuPy on a machine without a GPU: its names on NumPy memory, so that every line for a GPU runs on the CPU too.

    from minicnn_kernels.emulated import cupy

    x = cupy.asarray(host)          # to the emulated GPU
    y = (x * 2).sum(0)              # by CuPy's rules for types, orders and arguments
    y.get()                         # and back: the program waits for the GPU

It is slow, and strict where a mistake would be silent on a GPU, or would show only there:

- `ndarray` is a type of its own, no subclass of NumPy's. The two do not mix: `np.asarray(x)`, `x + host` and
  `y[...] = host` raise, as with CuPy.
- There is only what CuPy has. Names, argument names and the types of ufuncs are those of `cupy_api.txt`, which is
  written from an installed CuPy (`tests/cuda/write_cupy_api.py`). A function that gives an array gives one of rank 0
  too, and in C order whatever the order of its operands, where CuPy does so.
- What CuPy does silently and slowly is refused: an index from the CPU, which it would copy each time.
- What has no defined result on a GPU raises `EmulationError`: an index out of range (CuPy wraps it), one place written
  twice with different values, a float that does not fit an integer type.
- New memory is full of NaN, or of a number that stands out, so that what is read before it is written shows.
- There are two devices without access to each other's memory, so that an array of the wrong device raises.
- A copy between CPU and GPU is done when its stream goes on or is waited for, and not before. Work of another stream
  that did not wait sees NaN; a page-locked buffer that is written too early arrives wrong. Work on what another stream
  computed, without waiting for it, raises.
- Copies and waits are counted (`traffic.py`), and a test can forbid waits.

| file | what is in it |
|---|---|
| `cupy.py`, `cuda.py`, `cupyx.py` | the modules that stand for `cupy`, `cupy.cuda` and `cupyx` |
| `api.py` | what CuPy has, and its arguments |
| `array.py`, `indexing.py`, `methods.py` | `ndarray`: memory and conversions; x[...]; operators and methods |
| `values.py` | what is done to the NumPy arrays under them |
| `ufunc.py`, `functions.py`, `own.py` | elementwise functions; the others; those that CuPy does in its own way |
| `devices.py`, `memory.py` | devices; memory and its pools |
| `streams.py`, `clocks.py` | streams, events and their queues; which work comes before which |
| `traffic.py` | counters |
| `raw_module.py`, `guards.py` | kernels in CUDA C++ on the CPU; their arguments, between guards |
| `build.py`, `source.py`, `cpp/` | their compilation by g++; threads, barriers and all else that C++ has not |

Not emulated: how CuPy's memory pool hands out again, at once, what was freed while a stream still used it; the order of
axes in the results of `einsum` and of `fft` along an axis that is not the last; rounding. Kernels in CUDA run on
`array.raw` and `array.to_write`, which check device and stream.
"""
