// Entries for codes, and the links that carry them. What comes in is somebody
// else's: it is measured here, once, and nothing that does not fit is kept.
import { ALGORITHMS, fromBase32, toBase32 } from "./otp.js";

// Limits of what is kept.
export const MAX_ENTRIES = 1000;
const MAX_TEXT = 200;
const MAX_SECRET = 256;

// Refused is an entry or a file that cannot be taken; its message is the id of
// a text.
export class Refused extends Error {}

const printable = (text) => String(text ?? "").normalize("NFC").replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "").trim().slice(0, MAX_TEXT);

// entryOf makes an entry of what came in, or throws.
export const entryOf = ({ issuer, name, secret, algorithm = "SHA1", digits = 6, period = 30 }) => {
  let bytes;
  try {
    bytes = fromBase32(String(secret ?? ""));
  } catch {
    throw new Refused("refused.secret");
  }
  if (bytes.length < 1 || bytes.length > MAX_SECRET) throw new Refused("refused.secret");
  const hash = String(algorithm).toUpperCase().replace("-", "");
  if (!Object.hasOwn(ALGORITHMS, hash)) throw new Refused("refused.algorithm");
  if (!Number.isInteger(digits) || digits < 6 || digits > 8) throw new Refused("refused.digits");
  if (!Number.isInteger(period) || period < 5 || period > 300) throw new Refused("refused.period");
  return {
    id: crypto.randomUUID(), issuer: printable(issuer), name: printable(name), secret: toBase32(bytes), algorithm: hash, digits, period,
  };
};

// number reads a parameter of a link; one that is not there has its default.
const number = (text, otherwise) => (text === null ? otherwise : /^\d{1,4}$/.test(text) ? Number(text) : NaN);

// fromLink reads an otpauth://totp link.
export const fromLink = (text) => {
  let link;
  try {
    link = new URL(text.trim());
  } catch {
    throw new Refused("refused.link");
  }
  if (link.protocol !== "otpauth:") throw new Refused("refused.link");
  const kind = (link.host || link.pathname.replace(/^\/\//, "").split("/")[0]).toLowerCase();
  if (kind !== "totp") throw new Refused(kind === "hotp" ? "refused.hotp" : "refused.link");
  let label;
  try {
    label = decodeURIComponent(link.pathname.replace(/^\/\/totp/i, "").replace(/^\//, ""));
  } catch {
    throw new Refused("refused.link");
  }
  const colon = label.indexOf(":");
  const q = link.searchParams;
  return entryOf({
    issuer: q.get("issuer") ?? (colon >= 0 ? label.slice(0, colon) : ""), name: colon >= 0 ? label.slice(colon + 1) : label,
    secret: q.get("secret"), algorithm: q.get("algorithm") ?? "SHA1", digits: number(q.get("digits"), 6), period: number(q.get("period"), 30),
  });
};

// fields reads the fields of a protocol buffer, as far as wire types 0 and 2.
const fields = (bytes) => {
  const all = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw new Refused("refused.picture");
      const b = bytes[at++];
      value |= BigInt(b & 127) << shift;
      if (b < 128) return value;
    }
    throw new Refused("refused.picture");
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) {
      all.push([tag >> 3, Number(BigInt.asUintN(32, varint()))]);
    } else if ((tag & 7) === 2) {
      const size = Number(varint());
      if (size > bytes.length - at) throw new Refused("refused.picture");
      all.push([tag >> 3, bytes.subarray(at, at + size)]);
      at += size;
    } else {
      throw new Refused("refused.picture");
    }
  }
  return all;
};

const MIGRATED = {
  algorithm: { 0: "SHA1", 1: "SHA1", 2: "SHA256", 3: "SHA512" },
  digits: { 0: 6, 1: 6, 2: 8 },
};

// fromMigration reads the picture by which Google Authenticator moves entries:
// of several such pictures each is read by itself.
export const fromMigration = (text) => {
  let payload;
  try {
    const data = new URL(text.trim()).searchParams.get("data");
    payload = Uint8Array.from(atob(data.replace(/ /g, "+").replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  } catch {
    throw new Refused("refused.picture");
  }
  const read = new TextDecoder();
  const found = { entries: [], skipped: 0 };
  for (const [field, value] of fields(payload)) {
    if (field !== 1 || typeof value === "number") continue;
    const one = Object.fromEntries(fields(value));
    try {
      if ((one[6] ?? 2) !== 2) throw new Refused("refused.hotp");
      const named = read.decode(one[2] ?? new Uint8Array());
      const colon = named.indexOf(":");
      found.entries.push(entryOf({
        secret: toBase32(one[1] ?? new Uint8Array()), name: colon >= 0 ? named.slice(colon + 1) : named,
        issuer: one[3] ? read.decode(one[3]) : colon >= 0 ? named.slice(0, colon) : "",
        algorithm: MIGRATED.algorithm[one[4] ?? 0] ?? "none", digits: MIGRATED.digits[one[5] ?? 0] ?? 0, period: 30,
      }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      found.skipped++;
    }
  }
  return bounded(found);
};

// bounded refuses what holds nothing, or more than can be kept.
export const bounded = (found) => {
  if (found.entries.length > MAX_ENTRIES) throw new Refused("refused.many");
  if (found.entries.length === 0) throw new Refused("refused.nothing");
  return found;
};

// fromText reads whatever a picture, a link or a paste holds: entries, or the
// ticket of a pairing with this gateway.
export const fromText = (text) => {
  const said = text.trim();
  if (said.length > 64 * 1024) throw new Refused("refused.link");
  if (/^otpauth-migration:/i.test(said)) return fromMigration(said);
  if (/^otpauth:/i.test(said)) return { entries: [fromLink(said)], skipped: 0 };
  const ticket = ticketOf(said);
  if (ticket) return { ticket };
  throw new Refused("refused.link");
};

// ticketOf is the ticket of a pairing link to this very origin, or "".
export const ticketOf = (text) => {
  let link;
  try {
    link = new URL(text);
  } catch {
    return "";
  }
  return link.origin === location.origin && link.hash.startsWith("#pair=") ? link.hash.slice("#pair=".length) : "";
};
