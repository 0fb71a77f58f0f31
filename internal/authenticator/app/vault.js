// What the app keeps, sealed: entries, pairings and what opens their keys. All is
// encrypted under one random key, and that under whatever unlocks it: a PIN, or
// the phone's own unlock (WebAuthn PRF). The tenth wrong PIN in a row wipes
// everything, the keys of pairings too.
import { digits } from "./soft-token.js";

const DB = "stepgate-authenticator";
const TOKENS = "stepgate-soft-token";
export const MAX_TRIES = 10;
const ROUNDS = 600000;

const encoder = new TextEncoder();
const random = (size) => crypto.getRandomValues(new Uint8Array(size));
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");

// shelf is one record of the database, read or written as a whole.
const shelf = async (mode, act) => {
  const db = await new Promise((resolve, reject) => {
    const request = indexedDB.open(DB, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("kept");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  try {
    return await new Promise((resolve, reject) => {
      const transaction = db.transaction("kept", mode, { durability: "strict" });
      let request;
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      request = act(transaction.objectStore("kept"));
    });
  } finally {
    db.close();
  }
};

const get = (name) => shelf("readonly", (kept) => kept.get(name));
const put = (name, value) => shelf("readwrite", (kept) => kept.put(value, name));

// spend counts a try before it is made: a page that is closed in the middle of
// it has made it. In one transaction, so that two tabs have not one try.
const spend = () =>
  shelf("readwrite", (kept) => {
    const request = kept.get("tries");
    request.onsuccess = () => kept.put((request.result ?? 0) + 1, "tries");
    return request;
  }).then((before) => (before ?? 0) + 1);

// WrongPIN says how many tries are left; Wiped that there were none.
export class WrongPIN extends Error {
  constructor(left) {
    super("wrong PIN");
    this.left = left;
  }
}
export class Wiped extends Error {}

const drop = (name) =>
  new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = request.onerror = request.onblocked = resolve;
  });

// wipe takes away all that the app keeps.
export const wipe = () => Promise.all([drop(DB), drop(TOKENS)]);

// state is "new", or "sealed" with whether the phone's own unlock would do.
export const state = async () => {
  const locks = await get("locks");
  return { made: Boolean(locks), prf: locks?.prf ?? null };
};

const keyFrom = async (parts, use) => {
  const base = await crypto.subtle.importKey("raw", parts, "HKDF", false, ["deriveKey"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode("stepgate authenticator lock") };
  return crypto.subtle.deriveKey(how, base, { name: "AES-GCM", length: 256 }, false, use);
};

// pinKey comes of the PIN, and of a key that this browser gives out to no
// script: what a script could copy out of the storage is not enough.
const pinKey = async (pin, salt) => {
  const base = await crypto.subtle.importKey("raw", encoder.encode(digits(pin)), "PBKDF2", false, ["deriveBits"]);
  const stretched = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS }, base, 256);
  const mine = await crypto.subtle.sign("HMAC", await get("browser"), salt);
  return keyFrom(new Uint8Array([...new Uint8Array(stretched), ...new Uint8Array(mine)]), ["encrypt", "decrypt"]);
};

const seal = async (key, plain) => {
  const iv = random(12);
  return { iv, data: new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain)) };
};
const open = async (key, { iv, data }) => new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, data));

const contentKey = (raw) => crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);

// EMPTY is what a new app keeps. secret stands for the PIN towards pairings: it
// is there only while the app is unlocked for the one thing that needs it.
const EMPTY = { entries: [], pairings: [] };

// make begins, behind a PIN.
export const make = async (pin) => {
  await put("browser", await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]));
  const raw = random(32);
  const salt = random(32);
  const lock = await seal(await pinKey(pin, salt), raw);
  const key = await contentKey(raw);
  await put("content", await seal(key, encoder.encode(JSON.stringify({ ...EMPTY, secret: hex(random(32)) }))));
  await put("tries", 0);
  await put("locks", { pin: { salt, ...lock } });
  navigator.storage?.persist?.().catch(() => {});
  return new Vault(key);
};

// withPIN unlocks. The try is counted first; the tenth wrong one wipes.
export const withPIN = async (pin) => new Vault(await contentKey(await rawByPIN(pin)));

const rawByPIN = async (pin) => {
  const { pin: lock } = await get("locks");
  const tries = await spend();
  try {
    if (tries > MAX_TRIES) throw new WrongPIN(0);
    const raw = await open(await pinKey(pin, lock.salt), lock);
    await put("tries", 0);
    return raw;
  } catch {
    if (tries < MAX_TRIES) throw new WrongPIN(MAX_TRIES - tries);
    await wipe();
    throw new Wiped();
  }
};

// The phone's own unlock: a passkey of this app, whose PRF gives a key (WebAuthn
// Level 3 §10.1.4).
export const mayUsePhone = async () => {
  try {
    return Boolean(globalThis.PublicKeyCredential) && (await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable());
  } catch {
    return false;
  }
};

const prfOutput = async (id, salt) => {
  const answer = await navigator.credentials.get({
    publicKey: {
      challenge: random(32), rpId: location.hostname, userVerification: "required", allowCredentials: [{ type: "public-key", id }],
      extensions: { prf: { eval: { first: salt } } },
    },
  });
  const first = answer.getClientExtensionResults().prf?.results?.first;
  if (!first) throw new DOMException("no PRF", "NotSupportedError");
  return new Uint8Array(first);
};

// addPhone adds it beside the PIN.
export const addPhone = async (pin, name) => {
  const raw = await rawByPIN(pin);
  const salt = random(32);
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: random(32), rp: { id: location.hostname, name }, user: { id: random(16), name, displayName: name },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
      authenticatorSelection: { authenticatorAttachment: "platform", userVerification: "required", residentKey: "preferred" },
      extensions: { prf: { eval: { first: salt } } },
    },
  });
  if (made.getClientExtensionResults().prf?.enabled === false) throw new DOMException("no PRF", "NotSupportedError");
  const id = new Uint8Array(made.rawId);
  const key = await keyFrom(await prfOutput(id, salt), ["encrypt", "decrypt"]);
  const locks = await get("locks");
  await put("locks", { ...locks, prf: { id, salt, ...(await seal(key, raw)) } });
};

// withPhone unlocks by it.
export const withPhone = async () => {
  const { prf } = await get("locks");
  const key = await keyFrom(await prfOutput(prf.id, prf.salt), ["decrypt"]);
  return new Vault(await contentKey(await open(key, prf)));
};

// Vault is what is unlocked. Its content is read anew each time: another tab may
// have changed it.
export class Vault {
  #key;

  constructor(key) {
    this.#key = key;
  }

  async read() {
    return JSON.parse(new TextDecoder().decode(await open(this.#key, await get("content"))));
  }

  // change lets act alter the content, one tab after the other.
  change(act) {
    return navigator.locks.request(DB, async () => {
      const content = await this.read();
      const out = await act(content);
      await put("content", await seal(this.#key, encoder.encode(JSON.stringify(content))));
      return out;
    });
  }
}
