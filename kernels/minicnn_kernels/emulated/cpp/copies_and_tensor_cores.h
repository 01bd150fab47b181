// Asynchronous copies to shared memory (cp.async), and the matrix products of a warp (ldmatrix, mma.sync).
//
// A copy is done as late as it may be: when the thread waits for it. Until then its destination is NaN, so a read that
// comes too early shows.
#pragma once
#include "together.h"

namespace emulated {

static inline void copy_async(void* to, const void* from, int bytes, int valid) {
  if ((uintptr_t)to % bytes || (valid && (uintptr_t)from % bytes))
    fail("cp.async: an address is not a multiple of its bytes", 0);
  Fiber* self = block->current;
  memset(to, 0xff, bytes);
  enter_emulator();
  block->allocates = true;
  self->copies.push_back({to, from, bytes, valid, self->groups});
  block->allocates = false;
  leave_emulator();
}

static inline void end_group_of_copies() { block->current->groups++; }

// Do the copies of all groups but the last `pending` ones.
static inline void wait_for_copies(int pending) {
  Fiber* self = block->current;
  size_t kept = 0;
  for (auto& copy : self->copies) {
    if (copy.group >= self->groups - pending) {
      self->copies[kept++] = copy;
      continue;
    }
    memcpy(copy.to, copy.from, copy.valid);
    memset((char*)copy.to + copy.valid, 0, copy.bytes - copy.valid);
  }
  enter_emulator();
  self->copies.resize(kept);
  leave_emulator();
}

// Four matrices of 8x8 16-bit values, here 8x4 floats; lane i gives the address of row i % 8 of matrix i / 8.
static inline void load_matrices(uint32_t* result, const void* row, int line) {
  Fiber* self = block->current;
  if ((uintptr_t)row % 16) fail("ldmatrix: the address of a row is not a multiple of 16", line);
  memcpy(self->in, &row, sizeof row);
  FOR_TSAN(for (int i = 0; i < 4; i++)(void)((const volatile uint32_t*)row)[i];)
  with_warp(0xffffffffu, line, [](Fiber* lanes) {
    for (int i = 0; i < 32; i++)
      for (int matrix = 0; matrix < 4; matrix++) {
        const uint32_t* from;
        memcpy(&from, lanes[8 * matrix + i / 4].in, sizeof from);
        lanes[i].out[matrix] = from[i % 4];
      }
  });
  memcpy(result, self->out, 16);
}

// The tensor core does not see the last 13 bits of a float.
static inline float seen_as_tf32(uint32_t bits) {
  bits &= 0xffffe000u;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// D (16x8) += A (16x8) B (8x8), float sums of TF32 products. Which lane holds which elements: PTX ISA, "Matrix
// fragments for mma.m16n8k8" with .tf32. On a GPU the order of the additions and their rounding are others.
static inline void multiply_tf32(float* d, const uint32_t* a, const uint32_t* b, int line) {
  Fiber* self = block->current;
  memcpy(self->in, a, 16);
  memcpy(self->in + 4, b, 8);
  memcpy(self->in + 6, d, 16);
  with_warp(0xffffffffu, line, [](Fiber* lanes) {
    float A[16][8], B[8][8], D[16][8];
    for (int i = 0; i < 32; i++) {
      int row = i / 4, column = i % 4;
      for (int r = 0; r < 4; r++) A[row + 8 * (r & 1)][column + 4 * (r >> 1)] = seen_as_tf32(lanes[i].in[r]);
      for (int r = 0; r < 2; r++) B[column + 4 * r][row] = seen_as_tf32(lanes[i].in[4 + r]);
      for (int r = 0; r < 4; r++) memcpy(&D[row + 8 * (r >> 1)][2 * column + (r & 1)], &lanes[i].in[6 + r], 4);
    }
    for (int m = 0; m < 16; m++)
      for (int k = 0; k < 8; k++)
        for (int n = 0; n < 8; n++) D[m][n] += A[m][k] * B[k][n];
    for (int i = 0; i < 32; i++)
      for (int r = 0; r < 4; r++) memcpy(&lanes[i].out[r], &D[i / 4 + 8 * (r >> 1)][2 * (i % 4) + (r & 1)], 4);
  });
  memcpy(d, self->out, 16);
}

}  // namespace emulated
