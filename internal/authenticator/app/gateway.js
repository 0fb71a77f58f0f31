// What the app asks of the gateway that serves it: pairings, requests, answers.
// Codes never go there.
import { make, use, forget, bytes, text } from "./soft-token.js";

// Trouble is an answer that is none; its message is the gateway's word.
export class Trouble extends Error {
  constructor(word, reference) {
    super(word);
    this.reference = reference ?? "";
  }
}

const ask = async (path, body, bearer) => {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {
      method: "POST", cache: "no-store", credentials: "omit", redirect: "error",
      headers: { "Content-Type": "application/json", ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}) }, body: JSON.stringify(body),
    });
  } catch {
    throw new Trouble("offline");
  }
  const out = await answer.json().catch(() => ({ error: "trouble" }));
  if (!answer.ok) throw new Trouble(out.error ?? "trouble", out.reference);
  return out;
};

// invitation is what is about to be paired.
export const invitation = (ticket) => ask("pair", { ticket });

// pair makes this phone's key for a portal, behind the vault's secret.
export const pair = async (ticket, invited, secret, name) => {
  const letter = await make(secret, invited);
  const { bearer, check } = await ask("pair/offer", { ticket, letter, name });
  return { id: crypto.randomUUID(), site: invited.site, who: invited.who, key: invited.key, bearer, check, at: Date.now() };
};

export const unpair = (pairing) => forget(pairing.key);

export const waiting = (pairing) => ask("requests", {}, pairing.bearer);

// approve signs all that was shown, and the number that was typed.
export const approve = async (pairing, request, number, secret) => {
  const encoder = new TextEncoder();
  const said = new Uint8Array([...encoder.encode(request.shown), 0, ...encoder.encode(number), 0, ...bytes(request.options.challenge)]);
  const challenge = text(await crypto.subtle.digest("SHA-256", said));
  const letter = await use(secret, { ...request.options, challenge }, "approve");
  return ask("approve", { id: request.id, number, letter }, pairing.bearer);
};

export const deny = (pairing, request) => ask("deny", { id: request.id }, pairing.bearer);

export const subscribe = (pairing, subscription) => ask("subscription", { subscription }, pairing.bearer);

// ROUND is how long, in milliseconds, an event stream has for its first event,
// and the shortest time from one question to the next.
const ROUND = 4000;

// follow hears what waits for a pairing, until stop is aborted: by events, and
// where they do not come through by asking every few seconds. heard is given what
// waits, or the error that says that nothing can. A stream that fails is no such
// error: only an answer says what waits.
export const follow = async (pairing, heard, stop) => {
  while (!stop.aborted) {
    const round = pause(ROUND, stop);
    try {
      heard(await waiting(pairing), null);
      await events(pairing, heard, stop);
    } catch (error) {
      if (stop.aborted) return;
      heard(null, error);
    }
    await round;
  }
};

const pause = (ms, stop) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

// events gives up a stream whose first event, which the gateway sends at once,
// does not come: something between holds it back.
const events = async (pairing, heard, stop) => {
  if (stop.aborted) return;
  const given = new AbortController();
  const up = () => given.abort();
  const timer = setTimeout(up, ROUND);
  stop.addEventListener("abort", up, { once: true });
  try {
    const answer = await fetch("/api/events", {
      cache: "no-store", credentials: "omit", headers: { Authorization: `Bearer ${pairing.bearer}` }, signal: given.signal,
    });
    if (!answer.ok) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += value;
      for (let end = held.indexOf("\n\n"); end >= 0; end = held.indexOf("\n\n")) {
        clearTimeout(timer);
        const event = held.slice(0, end);
        held = held.slice(end + 2);
        if (event.startsWith("data: ")) heard(JSON.parse(event.slice(6)), null);
      }
    }
  } catch {
    // what waits is asked for in the next round, and so is what is wrong
  } finally {
    clearTimeout(timer);
    stop.removeEventListener("abort", up);
  }
};
