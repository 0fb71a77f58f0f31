// One-time codes (RFC 4226, RFC 6238) and base32 (RFC 4648 §6).

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

// fromBase32 reads a secret as people and pictures write it: letter case, blanks,
// hyphens and padding do not matter. Anything else is an error.
export const fromBase32 = (text) => {
  const clean = text.toUpperCase().replace(/[\s-]/g, "").replace(/=+$/, "");
  const bytes = [];
  let [bits, held] = [0, 0];
  for (const c of clean) {
    const value = ALPHABET.indexOf(c);
    if (value < 0) throw new Error("not base32");
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
      held &= (1 << bits) - 1;
    }
  }
  return Uint8Array.from(bytes);
};

export const toBase32 = (bytes) => {
  let [text, bits, held] = ["", 0, 0];
  for (const b of bytes) {
    held = (held << 8) | b;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
      held &= (1 << bits) - 1;
    }
  }
  if (bits > 0) text += ALPHABET[(held << (5 - bits)) & 31];
  return text;
};

// ALGORITHMS are the hashes that a code can be made with, by their names in
// links.
export const ALGORITHMS = { SHA1: "SHA-1", SHA256: "SHA-256", SHA512: "SHA-512" };

// codeAt is the code of an entry at a moment, in milliseconds.
export const codeAt = async ({ secret, algorithm, digits, period }, now) => {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(now / 1000 / period)));
  const key = await crypto.subtle.importKey("raw", fromBase32(secret), { name: "HMAC", hash: ALGORITHMS[algorithm] }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, counter.buffer));
  const at = mac[mac.length - 1] & 15; // RFC 4226 §5.3
  const number = new DataView(mac.buffer).getUint32(at) & 0x7fffffff;
  return String(number % 10 ** digits).padStart(digits, "0");
};

// leftAt is how many milliseconds the code of a moment still holds.
export const leftAt = ({ period }, now) => period * 1000 - (now % (period * 1000));
