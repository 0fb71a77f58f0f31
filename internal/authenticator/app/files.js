// Files of entries: our own, sealed by a password, and those of Aegis and 2FAS.
// docs/authenticator.md has our format.
import { entryOf, bounded, Refused, MAX_ENTRIES } from "./entries.js";
import { scrypt } from "./scrypt.js";

// MAX_FILE bounds a file that is read, in bytes.
export const MAX_FILE = 2 * 1024 * 1024;

const FORMAT = "stepgate-authenticator";
const COST = { n: 32768, r: 8, p: 1 };

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const fromBase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const toBase64 = (bytes) => btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join(""));
const fromHex = (text) => {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Refused("refused.file");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
};

const aes = (raw, use) => crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);

// opened decrypts AES-GCM; one that does not open has another password.
const opened = async (raw, iv, data) => {
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, await aes(raw, "decrypt"), data));
  } catch {
    throw new Refused("refused.password");
  }
};

// exported seals entries by a password. Pairings stay: their keys are this
// phone's.
export const exported = async (entries, password) => {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const raw = await scrypt(encoder.encode(password.normalize("NFKC")), salt, COST, 32);
  const plain = entries.map(({ issuer, name, secret, algorithm, digits, period }) => ({ type: "totp", issuer, name, secret, algorithm, digits, period }));
  const data = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await aes(raw, "encrypt"), encoder.encode(JSON.stringify({ entries: plain })));
  return JSON.stringify({
    format: FORMAT, version: 1, kdf: { name: "scrypt", ...COST, salt: toBase64(salt) },
    cipher: { name: "AES-256-GCM", iv: toBase64(iv) }, data: toBase64(data),
  }, null, 2);
};

// imported reads a file. password is asked for only where it is needed.
export const imported = async (text, password) => {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Refused("refused.file");
  }
  try {
    if (file?.format === FORMAT) return await ours(file, password);
    if (file?.db !== undefined && file?.header !== undefined) return await aegis(file, password);
    if (Array.isArray(file?.services) || file?.servicesEncrypted) return await twoFAS(file, password);
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("refused.file");
  }
  throw new Refused("refused.file");
};

// taken makes entries of what a file holds; what cannot be taken is counted.
const taken = (list, read) => {
  if (!Array.isArray(list)) throw new Refused("refused.file");
  if (list.length > MAX_ENTRIES) throw new Refused("refused.many");
  const found = { entries: [], skipped: 0 };
  for (const one of list) {
    try {
      found.entries.push(entryOf(read(one)));
    } catch {
      found.skipped++;
    }
  }
  return bounded(found);
};

const totpOnly = (type) => {
  if (String(type ?? "totp").toLowerCase() !== "totp") throw new Refused("refused.hotp");
};

const ours = async (file, password) => {
  if (file.version !== 1 || file.kdf?.name !== "scrypt") throw new Refused("refused.file");
  const raw = await scrypt(encoder.encode((await password()).normalize("NFKC")), fromBase64(file.kdf.salt), file.kdf, 32);
  const plain = JSON.parse(decoder.decode(await opened(raw, fromBase64(file.cipher.iv), fromBase64(file.data))));
  return taken(plain.entries, (e) => {
    totpOnly(e.type);
    return e;
  });
};

// Aegis: a vault, whose key is in slots of which those of type 1 are passwords.
const aegis = async (file, password) => {
  let { db } = file;
  if (typeof db === "string") {
    const typed = encoder.encode(await password());
    const slots = (file.header.slots ?? []).filter((slot) => slot.type === 1).slice(0, 4);
    let key;
    for (const slot of slots) {
      const raw = await scrypt(typed, fromHex(slot.salt), slot, 32);
      key = await opened(raw, fromHex(slot.key_params.nonce), fromHex(slot.key + slot.key_params.tag)).catch(() => key);
    }
    if (!key) throw new Refused("refused.password");
    const { nonce, tag } = file.header.params;
    const sealed = fromBase64(db);
    const whole = new Uint8Array([...sealed, ...fromHex(tag)]);
    db = JSON.parse(decoder.decode(await opened(key, fromHex(nonce), whole)));
  }
  return taken(db.entries, (e) => {
    totpOnly(e.type);
    return { issuer: e.issuer, name: e.name, secret: e.info.secret, algorithm: e.info.algo, digits: e.info.digits, period: e.info.period };
  });
};

// 2FAS: `data:salt:iv`, base64, under PBKDF2-SHA-256 with 10000 rounds.
const twoFAS = async (file, password) => {
  let { services } = file;
  if (file.servicesEncrypted) {
    const [data, salt, iv] = String(file.servicesEncrypted).split(":").map(fromBase64);
    const base = await crypto.subtle.importKey("raw", encoder.encode(await password()), "PBKDF2", false, ["deriveBits"]);
    const raw = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: 10000 }, base, 256);
    services = JSON.parse(decoder.decode(await opened(raw, iv, data)));
  }
  return taken(services, (s) => {
    totpOnly(s.otp?.tokenType);
    return {
      issuer: s.otp?.issuer || s.name, name: s.otp?.account ?? "", secret: s.secret, algorithm: s.otp?.algorithm ?? "SHA1",
      digits: s.otp?.digits ?? 6, period: s.otp?.period ?? 30,
    };
  });
};
