// A tile of a matrix product:  sum over k of left(i, k) * right(k, j)  for 16*R rows i and 64 columns j.
//
// Alone, a thread would read two numbers from memory for every multiplication. Here the 256 threads of a block share
// what they read. Step by step, 16 terms of the sum, the block copies its rows and columns from memory to shared
// memory. From there, each thread takes R numbers of the left operand and 4 of the right one to its registers, and
// multiplies each with each:
//
//                    64 columns
//                  +------------+         memory          once for every 64 (or 16*R) multiplications
//        16 terms  |   rights   |         shared memory   once for every 4 (or R) multiplications
//                  +------------+         registers       all else
//        +------+  +------------+
//  16*R  |lefts |  |            |         Thread t has the rows  R*(t/16) .. R*(t/16) + R-1
//  rows  |      |  |    sums    |         and the columns        4*(t%16) .. 4*(t%16) + 3
//        +------+  +------------+
//        16 terms
//
// R is 4; for products of few rows it is 1, or most of the tile would be empty.
//
// An operand is a class that says where its numbers are. A *line* is a row of the left operand or a column of the right
// one; a number belongs to a line and to a term:
//
//   Line line(long long i)      what the numbers of line i have in common; after the last line any, whose sums are not
//                               written
//   Term term(long long k)      what the numbers of term k have in common
//   T at(Line, Term)            the number
//   bool by_term                whether neighbours in memory are neighbouring terms, or else neighbouring lines:
//                               neighbouring threads read neighbours
//
// So the divisions that find a place are done once for a line, and once for a term; `at` only adds.
#pragma once
#include "neighbours.cuh"

const int THREADS = 256, COLUMNS = 64;
const int STEP = 16;    // terms in shared memory at a time
const int CHUNK = 128;  // terms whose places are found at a time
template <typename T>
const int BLOCKS = sizeof(T) == 4 ? 2 : 1;  // per processor: the compiler may use half of the registers, or all

// The place of element e of an axis.
__device__ inline long long place(const Axis& axis, long long e) {
  if (e < axis.width) return e * axis.step_i;
  long long row = e / axis.width;
  return (e - row * axis.width) * axis.step_i + row % axis.height * axis.step_j + row / axis.height * axis.step_k;
}

// A matrix in memory as an operand.
template <typename T>
struct Matrix {
  typedef long long Line;
  typedef long long Term;
  const T* memory;
  Axis lines, terms;
  long long count;  // of lines
  bool by_term;

  __device__ Matrix(const T* memory, const Axis& lines, const Axis& terms, long long count)
      : memory(memory), lines(lines), terms(terms), count(count), by_term(terms.step_i == 1) {}
  __device__ Line line(long long i) const { return i < count ? place(lines, i) : -1; }
  __device__ Term term(long long k) const { return place(terms, k); }
  __device__ T at(Line line, Term term) const { return line < 0 ? T(0) : memory[line + term]; }
};

// What one thread reads of an operand in a step: E of the 16*E lines x 16 terms.
template <typename T, typename Operand, int E>
struct Share {
  const Operand& operand;
  typename Operand::Line lines[E];
  T values[E];

  __device__ Share(const Operand& operand, long long first) : operand(operand) {
#pragma unroll
    for (int e = 0; e < E; e++) lines[e] = operand.line(first + line(e));
  }
  // In the tile, the line and the term of the thread's number e.
  __device__ int line(int e) const { return operand.by_term ? threadIdx.x / STEP + e * STEP : threadIdx.x % (16 * E); }
  __device__ int term(int e) const {
    return operand.by_term ? threadIdx.x % STEP : threadIdx.x / (16 * E) + e * (STEP / E);
  }

  // From memory, of the `left` terms that are left.
  __device__ void read(const typename Operand::Term* terms, int left) {
#pragma unroll
    for (int e = 0; e < E; e++) values[e] = term(e) < left ? operand.at(lines[e], terms[term(e)]) : T(0);
  }
  // To shared memory. The 4 more columns keep rows apart: 16 terms of one line are not all in the same bank.
  __device__ void write(T (*shared)[16 * E + 4]) const {
#pragma unroll
    for (int e = 0; e < E; e++) shared[term(e)][line(e)] = values[e];
  }
};

// The sums over the terms k0 .. k1 - 1, for the tile that begins at this row and this column.
//
// Added one by one, thousands of numbers lose digits: in float, each addition is rounded to the last digit of the sum.
// So only the terms of a chunk are added one by one, and the sums of the chunks are added to totals. A thread has its
// totals in shared memory, since it needs them so seldom. In double there are digits enough.
template <typename T, int R, typename Left, typename Right>
__device__ inline void tile_product(const Left& left, const Right& right, long long row, long long column, long long k0,
                                    long long k1, T (&sums)[R][4]) {
  __shared__ __align__(16) T lefts[STEP][16 * R + 4], rights[STEP][COLUMNS + 4];
  __shared__ typename Left::Term left_terms[CHUNK];
  __shared__ typename Right::Term right_terms[CHUNK];
  const int down = R * (threadIdx.x / 16), across = 4 * (threadIdx.x % 16);
  const bool by_chunk = sizeof(T) == 4;
  __shared__ T totals[by_chunk ? R : 1][4][by_chunk ? THREADS : 1];
  Share<T, Left, R> a(left, row);
  Share<T, Right, 4> b(right, column);
#pragma unroll
  for (int r = 0; r < R; r++)
#pragma unroll
    for (int c = 0; c < 4; c++) sums[r][c] = 0;
  for (long long chunk = k0; chunk < k1; chunk += CHUNK) {
    if (threadIdx.x < CHUNK)
      left_terms[threadIdx.x] = left.term(chunk + threadIdx.x);
    else
      right_terms[threadIdx.x - CHUNK] = right.term(chunk + threadIdx.x - CHUNK);
    __syncthreads();  // the terms are there
    const int count = min(k1 - chunk, (long long)CHUNK);
    a.read(left_terms, count);
    b.read(right_terms, count);
#pragma unroll 1
    for (int k = 0; k < count; k += STEP) {
      a.write(lefts);
      b.write(rights);
      __syncthreads();         // all numbers of the step are there
      if (k + STEP < count) {  // those of the next step come from memory while this one is multiplied
        a.read(left_terms + k + STEP, count - k - STEP);
        b.read(right_terms + k + STEP, count - k - STEP);
      }
#pragma unroll
      for (int term = 0; term < STEP; term++) {
        T l[R], m[4];
#pragma unroll
        for (int r = 0; r < R; r++) l[r] = lefts[term][down + r];
#pragma unroll
        for (int c = 0; c < 4; c++) m[c] = rights[term][across + c];
#pragma unroll
        for (int r = 0; r < R; r++)
#pragma unroll
          for (int c = 0; c < 4; c++) sums[r][c] += l[r] * m[c];
      }
      __syncthreads();  // all have used them
    }
#pragma unroll
    for (int r = 0; r < R && by_chunk; r++)
#pragma unroll
      for (int c = 0; c < 4; c++) {
        T& total = totals[by_chunk ? r : 0][c][by_chunk ? threadIdx.x : 0];
        total = chunk == k0 ? sums[r][c] : total + sums[r][c];
        sums[r][c] = chunk + CHUNK < k1 ? T(0) : total;
      }
  }
}

// The results of a thread to y. Rows or columns are neighbours in memory if the step of their axis is 1.
template <typename T, int R>
__device__ inline void write_tile(T* y, const Axis& rows, const Axis& columns, const Tiles& tiles, long long row,
                                  long long column, const T (&sums)[R][4]) {
  row += R * (threadIdx.x / 16), column += 4 * (threadIdx.x % 16);
  long long high = tiles.rows - row, wide = tiles.columns - column;  // of these, that many are in the matrix
  T* to[4];
#pragma unroll
  for (int c = 0; c < 4; c++) to[c] = y + place(columns, column + c);
  bool across = to[1] == to[0] + 1 && to[2] == to[0] + 2 && to[3] == to[0] + 3;
  bool down = R == 4 && rows.step_i == 1 && row + 3 < rows.width;
  if (across) {
#pragma unroll
    for (int r = 0; r < R; r++)
      if (r < high) write_neighbours(to[0] + place(rows, row + r), sums[r], wide);
    return;
  }
#pragma unroll
  for (int c = 0; c < 4; c++) {
    if (c >= wide) return;
    if (down) {
      T values[4];
#pragma unroll
      for (int r = 0; r < R; r++) values[r] = sums[r][c];
      write_neighbours(to[c] + row, values, high);
    } else {
#pragma unroll
      for (int r = 0; r < R; r++)
        if (r < high) to[c][place(rows, row + r)] = sums[r][c];
    }
  }
}

// What a block does: its tile, of which matrix, and which part of the sum.
struct Work {
  long long batch, part, row, column, k0, k1;
};

template <int R>
__device__ inline Work work_of_block(const Tiles& tiles) {
  long long high = (tiles.rows + 16 * R - 1) / (16 * R), wide = (tiles.columns + COLUMNS - 1) / COLUMNS;
  long long block = blockIdx.x;
  Work work;
  work.row = block % high * (16 * R), block /= high;  // tiles of the same columns are computed at the same time
  work.column = block % wide * COLUMNS, block /= wide;
  work.part = block % tiles.parts, work.batch = block / tiles.parts;
  work.k0 = work.part * tiles.length;
  work.k1 = min(work.k0 + tiles.length, tiles.terms);
  return work;
}
