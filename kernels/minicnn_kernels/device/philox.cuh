// Random words by counting, as in philox.py: the same words for the same counter and key.
#pragma once

struct Words {
  unsigned w[4];
};

// Philox4x32-10. The loop is unrolled, so that the keys of the rounds cost two additions each and no register stays.
__device__ inline Words philox(Words counter, unsigned k0, unsigned k1) {
  unsigned* c = counter.w;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    unsigned long long p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    c[0] = (unsigned)(p1 >> 32) ^ c[1] ^ k0, c[1] = (unsigned)p1;
    c[2] = (unsigned)(p0 >> 32) ^ c[3] ^ k1, c[3] = (unsigned)p0;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return counter;
}

// Words 4 counter to 4 counter + 3 of the sequence of a key.
__device__ inline Words four_words(unsigned long long counter, unsigned long long key) {
  return philox({(unsigned)counter, (unsigned)(counter >> 32), 0, 0}, (unsigned)key, (unsigned)(key >> 32));
}

// Word i of the sequence of a key. A choice, not an index: an array that is indexed has no place in registers.
__device__ inline unsigned word(unsigned long long i, unsigned long long key) {
  Words found = four_words(i / 4, key);
  unsigned first = i % 2 ? found.w[1] : found.w[0], second = i % 2 ? found.w[3] : found.w[2];
  return i % 4 < 2 ? first : second;
}
