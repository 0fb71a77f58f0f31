//go:build cgo && amd64

#include "fill.h"
#include <immintrin.h>
#include <string.h>

#define WORDS 128
#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) AVX2

typedef __m256i v4;

int fill_supported(void) { return __builtin_cpu_supports("avx2"); }

INLINE v4 rotate32(v4 x) { return _mm256_shuffle_epi32(x, 0xB1); }

INLINE v4 rotate24(v4 x) {
	return _mm256_shuffle_epi8(x, _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
		3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10));
}

INLINE v4 rotate16(v4 x) {
	return _mm256_shuffle_epi8(x, _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
		2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9));
}

INLINE v4 rotate63(v4 x) { return _mm256_xor_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x)); }

// mix is a + b + 2 * low32(a) * low32(b) (RFC 9106 §3.6).
INLINE v4 mix(v4 a, v4 b) {
	v4 product = _mm256_mul_epu32(a, b);
	return _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(product, product));
}

// quarter is the function GB on four columns at once.
INLINE void quarter(v4 *a, v4 *b, v4 *c, v4 *d) {
	*a = mix(*a, *b);
	*d = rotate32(_mm256_xor_si256(*d, *a));
	*c = mix(*c, *d);
	*b = rotate24(_mm256_xor_si256(*b, *c));
	*a = mix(*a, *b);
	*d = rotate16(_mm256_xor_si256(*d, *a));
	*c = mix(*c, *d);
	*b = rotate63(_mm256_xor_si256(*b, *c));
}

// permute is the permutation P of a matrix of 4 by 4 words: its columns, and
// then its diagonals.
INLINE void permute(v4 *a, v4 *b, v4 *c, v4 *d) {
	quarter(a, b, c, d);
	*b = _mm256_permute4x64_epi64(*b, 0x39);
	*c = _mm256_permute4x64_epi64(*c, 0x4E);
	*d = _mm256_permute4x64_epi64(*d, 0x93);
	quarter(a, b, c, d);
	*b = _mm256_permute4x64_epi64(*b, 0x93);
	*c = _mm256_permute4x64_epi64(*c, 0x4E);
	*d = _mm256_permute4x64_epi64(*d, 0x39);
}

// pair loads two words of one row and two of the next.
INLINE v4 pair(const uint64_t *row) {
	return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)row)),
		_mm_loadu_si128((const __m128i *)(row + 16)), 1);
}

INLINE void unpair(uint64_t *row, v4 x) {
	_mm_storeu_si128((__m128i *)row, _mm256_castsi256_si128(x));
	_mm_storeu_si128((__m128i *)(row + 16), _mm256_extracti128_si256(x, 1));
}

// compress is the function G: to becomes G(x, y), or G(x, y) XOR to where add
// is set (RFC 9106 §3.5).
INLINE void compress(uint64_t *to, const uint64_t *x, const uint64_t *y, int add) {
	uint64_t z[WORDS], r[WORDS];
	for (int i = 0; i < WORDS; i += 16) {
		v4 w[4];
		for (int j = 0; j < 4; j++) {
			w[j] = _mm256_xor_si256(_mm256_loadu_si256((const v4 *)(x + i + 4 * j)), _mm256_loadu_si256((const v4 *)(y + i + 4 * j)));
			v4 kept = add ? _mm256_xor_si256(w[j], _mm256_loadu_si256((const v4 *)(to + i + 4 * j))) : w[j];
			_mm256_storeu_si256((v4 *)(r + i + 4 * j), kept);
		}
		permute(&w[0], &w[1], &w[2], &w[3]);
		for (int j = 0; j < 4; j++)
			_mm256_storeu_si256((v4 *)(z + i + 4 * j), w[j]);
	}
	for (int i = 0; i < 16; i += 2) {
		v4 a = pair(z + i), b = pair(z + 32 + i), c = pair(z + 64 + i), d = pair(z + 96 + i);
		permute(&a, &b, &c, &d);
		unpair(to + i, _mm256_xor_si256(a, pair(r + i)));
		unpair(to + 32 + i, _mm256_xor_si256(b, pair(r + 32 + i)));
		unpair(to + 64 + i, _mm256_xor_si256(c, pair(r + 64 + i)));
		unpair(to + 96 + i, _mm256_xor_si256(d, pair(r + 96 + i)));
	}
}

// reference is the block that J1 leads to (RFC 9106 §3.4.2, with one lane).
static uint32_t reference(uint32_t j1, uint32_t pass, uint32_t slice, uint32_t index, uint32_t length) {
	uint32_t segment = length / 4;
	uint32_t area = (pass == 0 ? slice * segment : length - segment) + index - 1;
	uint32_t start = pass == 0 || slice == 3 ? 0 : (slice + 1) * segment;
	uint64_t x = (uint64_t)j1 * j1 >> 32;
	uint64_t y = area * x >> 32;
	return (uint32_t)((start + area - 1 - y) % length);
}

AVX2 void fill(uint64_t *blocks, uint32_t length, uint32_t passes) {
	static const uint64_t zero[WORDS];
	uint64_t input[WORDS], addresses[WORDS];
	uint32_t segment = length / 4;
	for (uint32_t pass = 0; pass < passes; pass++) {
		for (uint32_t slice = 0; slice < 4; slice++) {
			int independent = pass == 0 && slice < 2;
			memset(input, 0, sizeof input);
			input[0] = pass, input[2] = slice, input[3] = length, input[4] = passes, input[5] = 2;
			for (uint32_t i = 0; i < segment; i++) {
				if (independent && i % WORDS == 0) {
					input[6]++;
					compress(addresses, zero, input, 0);
					compress(addresses, zero, addresses, 0);
				}
				if (pass == 0 && slice == 0 && i < 2)
					continue;
				uint32_t at = slice * segment + i;
				uint64_t *before = blocks + (size_t)(at == 0 ? length - 1 : at - 1) * WORDS;
				uint32_t j1 = (uint32_t)(independent ? addresses[i % WORDS] : before[0]);
				uint64_t *other = blocks + (size_t)reference(j1, pass, slice, i, length) * WORDS;
				compress(blocks + (size_t)at * WORDS, before, other, pass > 0);
			}
		}
	}
}
