#include <stdint.h>

// fill_supported tells whether this processor has what fill needs.
int fill_supported(void);

// fill does the passes of argon2id, version 1.3, with one lane over blocks of
// 128 words (RFC 9106 §3.2, steps 5 and 6). The first two blocks are given;
// length is a multiple of four, and 8 at least.
void fill(uint64_t *blocks, uint32_t length, uint32_t passes);
