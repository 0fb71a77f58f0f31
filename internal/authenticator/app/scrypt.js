// scrypt (RFC 7914), for files that are opened by a password: WebCrypto has
// only its first and last step.

const rotate = (x, n) => (x << n) | (x >>> (32 - n));

// salsa is Salsa20/8 in place (RFC 7914 §3).
const salsa = (block) => {
  const x = block.slice();
  const quarter = (a, b, c, d) => {
    x[b] ^= rotate((x[a] + x[d]) | 0, 7);
    x[c] ^= rotate((x[b] + x[a]) | 0, 9);
    x[d] ^= rotate((x[c] + x[b]) | 0, 13);
    x[a] ^= rotate((x[d] + x[c]) | 0, 18);
  };
  for (let round = 0; round < 4; round++) {
    quarter(0, 4, 8, 12);
    quarter(5, 9, 13, 1);
    quarter(10, 14, 2, 6);
    quarter(15, 3, 7, 11);
    quarter(0, 1, 2, 3);
    quarter(5, 6, 7, 4);
    quarter(10, 11, 8, 9);
    quarter(15, 12, 13, 14);
  }
  for (let i = 0; i < 16; i++) block[i] = (block[i] + x[i]) | 0;
};

// mix is scryptBlockMix (RFC 7914 §4): blocks of 16 words, even ones first.
const mix = (words, out, r) => {
  const x = words.slice((2 * r - 1) * 16);
  for (let i = 0; i < 2 * r; i++) {
    for (let j = 0; j < 16; j++) x[j] ^= words[i * 16 + j];
    salsa(x);
    out.set(x, ((i >> 1) + (i & 1) * r) * 16);
  }
};

// fill is scryptROMix (RFC 7914 §5). It gives way to the page now and then.
const fill = async (words, n, r) => {
  const size = 32 * r;
  const memory = new Int32Array(size * n);
  let [x, y] = [words.slice(), new Int32Array(size)];
  const step = () => {
    mix(x, y, r);
    [x, y] = [y, x];
  };
  for (let i = 0; i < n; i++) {
    memory.set(x, i * size);
    step();
    if (i % 4096 === 0) await null;
  }
  for (let i = 0; i < n; i++) {
    const at = (x[(2 * r - 1) * 16] & (n - 1)) * size;
    for (let j = 0; j < size; j++) x[j] ^= memory[at + j];
    step();
    if (i % 4096 === 0) await null;
  }
  return x;
};

const pbkdf2 = async (password, salt, size) => {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: 1 }, key, size * 8));
};

// MAX_MEMORY bounds what a file can make this phone use, in bytes.
const MAX_MEMORY = 256 * 1024 * 1024;

// scrypt derives bytes. Parameters that ask for too much, or make no sense, are
// refused: a file says them, and a file may be anybody's.
export const scrypt = async (password, salt, { n, r, p }, size) => {
  const whole = [n, r, p].every((v) => Number.isSafeInteger(v) && v >= 1);
  if (!whole || n < 2 || (n & (n - 1)) !== 0 || r > 32 || p > 16 || 128 * n * r > MAX_MEMORY || n * r * p > 2 ** 22) {
    throw new RangeError("scrypt parameters");
  }
  const blocks = await pbkdf2(password, salt, p * 128 * r);
  for (let i = 0; i < p; i++) {
    const part = blocks.subarray(i * 128 * r, (i + 1) * 128 * r);
    const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
    const words = Int32Array.from({ length: 32 * r }, (_, j) => view.getInt32(j * 4, true));
    (await fill(words, n, r)).forEach((word, j) => view.setInt32(j * 4, word, true));
  }
  return pbkdf2(password, blocks, size);
};
