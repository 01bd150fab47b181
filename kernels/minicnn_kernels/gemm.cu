// The matrix product  y[i, j] = bias + sum_k a[i, k] b[k, j],  and stacks of them. Legend: gemm.py and matmul.py.
// kernels: product<float, 4>, product<float, 1>, product<double, 4>, product<double, 1>, add_parts
// registers: 176
//
// What is different from the python row of matmul: a block of threads computes a tile of y (device/tile.cuh), and reads
// a and b through the axes of a `Stack`, so that transposed matrices and the pixels of images need no copy. Where the
// matrices of a stack begin is an axis, too; a matrix that is in several products takes no step there.
//
// If y has few tiles and the sum is long, as in the gradient of weights, most of a GPU would be idle. Then the sum is
// cut into parts, each computed by blocks of its own: a result for each part, which `add_parts` adds up, always in the
// same order. (Atomic additions would come in any order, and the last digits would differ from run to run.)

#include "threads.cuh"
#include "tile.cuh"

// R: the rows of a thread. The bias belongs to the rows, or else to the columns.
template <typename T, int R>
__global__ void __launch_bounds__(THREADS, BLOCKS<T>)
    product(const T* a, Stack as, const T* b, Stack bs, const T* bias, bool bias_of_rows, T* y, Stack ys, Tiles tiles) {
  Work work = work_of_block<R>(tiles);
  Matrix<T> left(a + as.start + place(as.batch, work.batch), as.rows, as.columns, tiles.rows);
  Matrix<T> right(b + bs.start + place(bs.batch, work.batch), bs.columns, bs.rows, tiles.columns);
  T sums[R][4];
  tile_product<T, R>(left, right, work.row, work.column, work.k0, work.k1, sums);
  if (bias && work.part == 0) {
    long long row = work.row + R * (threadIdx.x / 16), column = work.column + 4 * (threadIdx.x % 16);
    bias += work.batch * (bias_of_rows ? tiles.rows : tiles.columns);
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
      for (int c = 0; c < 4; c++)
        if (row + r < tiles.rows && column + c < tiles.columns) sums[r][c] += bias[bias_of_rows ? row + r : column + c];
  }
  y += ys.start + place(ys.batch, work.batch) + work.part * tiles.size;
  write_tile<T, R>(y, ys.rows, ys.columns, tiles, work.row, work.column, sums);
}

// y[e] = the sum over the parts, a thread for each element; in double, since there may be hundreds.
template <typename T>
__global__ void add_parts(const T* parts, T* y, long long size, long long count) {
  long long e = thread_number();
  if (e >= size) return;
  double sum = 0;
  for (long long part = 0; part < count; part++) sum += parts[part * size + e];
  y[e] = sum;
}
