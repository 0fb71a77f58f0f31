// A key behind a PIN: made, kept and used in this browser. It knows no page and
// no form: private devices and the authenticator app both use it.
// docs/devices.md has the reasoning.
//
// What is stored is the private key plus a number that comes from the PIN and
// from a share of the server's, modulo the curve's order. Taking off the number
// of another PIN leaves another private key, and nothing here tells which is
// the right one: no public key, no check value, no signature is ever stored.

const encoder = new TextEncoder();

// base64url both ways.
export const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
export const text = (array) => btoa(String.fromCharCode(...new Uint8Array(array))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const joined = (...arrays) => {
  const all = new Uint8Array(arrays.reduce((n, a) => n + a.byteLength, 0));
  let at = 0;
  for (const a of arrays) {
    all.set(new Uint8Array(a), at);
    at += a.byteLength;
  }
  return all;
};

const number = (array) => BigInt("0x" + Array.from(new Uint8Array(array), (b) => b.toString(16).padStart(2, "0")).join(""));
const octets = (n) => Uint8Array.from(n.toString(16).padStart(64, "0").match(/../g), (pair) => parseInt(pair, 16));

// P-256 (SP 800-186 §3.2.1.3), as far as a public key needs it: WebCrypto takes
// no private key without its public one, and storing that would tell a right
// PIN from a wrong one.
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const G = [0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n, 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n];

const mod = (a, m) => ((a % m) + m) % m;

const inverse = (a) => {
  let [r, next, x, y] = [P, mod(a, P), 0n, 1n];
  while (next) {
    const q = r / next;
    [r, next] = [next, r - q * next];
    [x, y] = [y, x - q * y];
  }
  return mod(x, P);
};

// sum adds two points; null is the point at infinity.
const sum = (a, b) => {
  if (!a || !b) return a ?? b;
  if (a[0] === b[0] && a[1] !== b[1]) return null;
  const slope = a[0] === b[0] ? mod((3n * a[0] * a[0] - 3n) * inverse(2n * a[1]), P) : mod((b[1] - a[1]) * inverse(b[0] - a[0]), P);
  const x = mod(slope * slope - a[0] - b[0], P);
  return [x, mod(slope * (a[0] - x) - a[1], P)];
};

export const publicPoint = (d) => {
  let [point, power] = [null, G];
  for (; d; d >>= 1n) {
    if (d & 1n) point = sum(point, power);
    power = sum(power, power);
  }
  return point;
};

// digits are those of a PIN, in whatever script and however they are grouped.
export const digits = (typed) => {
  const zero = (code) => {
    let low = code;
    while (code - low < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(low - 1))) low--;
    return low;
  };
  return Array.from(typed.normalize("NFKC").replace(/[\s\p{Cf}-]/gu, ""), (c) => {
    if (!/^\p{Nd}$/u.test(c)) return c;
    const code = c.codePointAt(0);
    return String((code - zero(code)) % 10);
  }).join("");
};

// mask is the number that hides a private key. 384 bits make it as good as
// evenly spread below the order (FIPS 186-5 §A.2.1).
const mask = async (pin, { key, share }) => {
  const base = await crypto.subtle.importKey("raw", encoder.encode(digits(pin)), "PBKDF2", false, ["deriveBits"]);
  const salt = joined(bytes(share), encoder.encode(`${key} ${location.origin}`));
  return mod(number(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: 600000 }, base, 384)), N);
};

const signing = { name: "ECDSA", namedCurve: "P-256" };
const agreeing = { name: "ECDH", namedCurve: "P-256" };

// signer is the private key d, out of reach of whoever asks WebCrypto for it.
const signer = (d) => {
  const [x, y] = publicPoint(d);
  return crypto.subtle.importKey("jwk", { kty: "EC", crv: "P-256", d: text(octets(d)), x: text(octets(x)), y: text(octets(y)) }, signing, false, ["sign"]);
};

// signed is a signature over what this is for, and where: the origin is the
// one that the browser itself is at.
const signed = (signer, kind, { account, purpose, transaction, key, challenge }) => {
  const said = ["stepgate soft token, version 1", kind, location.origin, account, purpose, transaction, key, challenge].join("\n");
  return crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, signer, encoder.encode(said));
};

// letter encrypts to the server's key, once: what is posted is of no use to
// whoever finds it later.
const letter = async (server, plain) => {
  const own = await crypto.subtle.generateKey(agreeing, false, ["deriveBits"]);
  const theirs = await crypto.subtle.importKey("raw", bytes(server), agreeing, false, []);
  const agreed = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, own.privateKey, 256);
  const half = await crypto.subtle.exportKey("raw", own.publicKey);
  const base = await crypto.subtle.importKey("raw", agreed, "HKDF", false, ["deriveKey"]);
  const info = encoder.encode("stepgate soft token answer");
  const key = await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: joined(half, bytes(server)), info }, base, { name: "AES-GCM", length: 256 }, false, ["encrypt"],
  );
  return text(joined(half, await crypto.subtle.encrypt({ name: "AES-GCM", iv: new Uint8Array(12) }, key, plain)));
};

// The shelf is one object store; a record is a name and 32 masked bytes.
const shelf = async (mode, act) => {
  const db = await new Promise((resolve, reject) => {
    const request = indexedDB.open("stepgate-soft-token", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("tokens", { keyPath: "key" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  try {
    return await new Promise((resolve, reject) => {
      const transaction = db.transaction("tokens", mode, { durability: "strict" });
      const request = act(transaction.objectStore("tokens"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    db.close();
  }
};

const find = (key) => shelf("readonly", (tokens) => tokens.get(key));

// able tells whether this browser can keep a key at all.
export const able = () => Boolean(globalThis.crypto?.subtle && globalThis.indexedDB && globalThis.isSecureContext);

// has tells whether this browser keeps the key of that name.
export const has = async (key) => Boolean(await find(key));

// forget takes a key away for good.
export const forget = (key) => shelf("readwrite", (tokens) => tokens.delete(key));

// make makes a key behind a PIN, keeps it, and gives the letter that offers its
// public half to the server. Until the server takes it, it is worth nothing.
export const make = async (pin, options) => {
  const pair = await crypto.subtle.generateKey(signing, true, ["sign", "verify"]);
  const [jwk, raw, hiding] = await Promise.all([
    crypto.subtle.exportKey("jwk", pair.privateKey), crypto.subtle.exportKey("raw", pair.publicKey), mask(pin, options),
  ]);
  const proof = await signed(pair.privateKey, "make", options);
  await shelf("readwrite", (tokens) => tokens.put({ key: options.key, masked: octets(mod(number(bytes(jwk.d)) + hiding, N)) }));
  return letter(options.server, joined(raw, proof));
};

// use gives the letter that answers a challenge. A wrong PIN gives one as well:
// only the server can tell. kind is what the signature does.
export const use = async (pin, options, kind = "use") => {
  const [token, hiding] = await Promise.all([find(options.key), mask(pin, options)]);
  if (!token) throw new DOMException("no such key in this browser", "NotFoundError");
  const d = mod(number(token.masked) - hiding, N);
  return letter(options.server, new Uint8Array(await signed(await signer(d || 1n), kind, options)));
};
