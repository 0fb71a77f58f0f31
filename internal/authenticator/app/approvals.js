// Pairings of this phone, and the requests that wait for its approval.
import * as gateway from "./gateway.js";
import * as vault from "./vault.js";
import { bytes } from "./soft-token.js";
import { button, field, form, h, locales, PIN, say, show, submit, t, wrong } from "./page.js";
import { app } from "./state.js";

// now is what waits, by pairing: { requests } or { error }.
const now = new Map();
let stopping = new AbortController();
let redraw = null;

export const stopListening = () => {
  stopping.abort();
  now.clear();
  redraw = null;
};

// listen asks for what waits, for each pairing, until the app is locked.
export const listen = async () => {
  stopping.abort();
  stopping = new AbortController();
  const { signal } = stopping;
  const { pairings } = await app.vault.read();
  for (const pairing of pairings) {
    gateway.follow(pairing, (waiting, error) => {
      const before = count(), was = outline(now.get(pairing.id));
      now.set(pairing.id, error ? { requests: [], error } : waiting);
      badge();
      // A page that says the same is left alone: somebody may be on its buttons.
      if (outline(now.get(pairing.id)) !== was) redraw?.();
      if (count() > before && !redraw) say(t("approvals.waits", { site: pairing.site, who: pairing.who }));
      if (waiting && !pairing.confirmed) confirmed(pairing);
      if (waiting?.push_key && !waiting.told) renew(pairing, waiting.push_key);
    }, signal);
  }
};

// confirmed remembers that the gateway knows the phone: if it does not any more,
// the pairing was removed.
const confirmed = (pairing) => {
  pairing.confirmed = true;
  return app.vault.change(({ pairings }) => pairings.filter((p) => p.id === pairing.id).forEach((p) => (p.confirmed = true)));
};

// outline is what of a pairing's state shows.
const outline = (state) => state && JSON.stringify([state.requests, state.push_key, state.told, state.error?.message, state.error?.reference]);

const count = () => [...now.values()].reduce((n, w) => n + w.requests.length, 0);

const badge = () => {
  const n = count();
  const tab = document.querySelector('[data-tab="approvals"]');
  if (tab) tab.textContent = n ? `${t("tab.approvals")} (${n})` : t("tab.approvals");
  navigator.setAppBadge?.(n).catch(() => {});
};

const trouble = (error) => (error.message === "offline" ? t("offline") : t("trouble", { reference: error.reference ?? "" }));

// How long a pairing that is not known yet may still be confirmed.
const UNCONFIRMED = 15 * 60 * 1000;

const stateOf = (pairing, waiting) => {
  if (!waiting?.error) return null;
  if (waiting.error.message !== "unpaired") return t("approvals.offline", { site: pairing.site });
  return !pairing.confirmed && Date.now() - pairing.at < UNCONFIRMED ? t("pair.not-yet", { check: pairing.check }) : t("pair.gone");
};

export const approvals = async () => {
  const { pairings } = await app.vault.read();
  const list = h("ul", { class: "cards", id: "waiting" });
  const paired = h("ul", { class: "cards" });
  const nothing = h("p", {}, pairings.length ? t("approvals.none") : t("approvals.unpaired"));
  const tell = h("div");
  const draw = () => {
    list.replaceChildren(...pairings.flatMap((p) => (now.get(p.id)?.requests ?? []).map((request) =>
      h("li", { class: "card" }, h("strong", {}, t("approvals.waits", { site: p.site, who: p.who })),
        button(t("approvals.look"), () => ask(p, request), { class: "button main", "data-request": request.id })))));
    nothing.hidden = list.children.length > 0;
    paired.replaceChildren(...pairings.map((p) =>
      h("li", { class: "card" }, h("strong", {}, p.site), h("span", { class: "muted" }, p.who), h("p", { class: "muted" }, stateOf(p, now.get(p.id)) ?? t("approvals.paired")),
        button(t("approvals.remove"), () => remove(p), { class: "quiet" }))));
    const key = [...now.values()].map((w) => w.push_key).find(Boolean);
    const told = [...now.values()].some((w) => w.told);
    tell.replaceChildren(...(told ? [h("p", { class: "muted" }, t("approvals.told"))] : key && mayTell() ? [button(t("approvals.tell"), () => tellMe(pairings, key))] : []));
  };
  show([h("h2", {}, t("tab.approvals")), nothing, list, h("h3", {}, t("approvals.paired")), paired, tell, button(t("approvals.pair"), () => import("./add.js").then(({ add }) => add()))], () => {
    if (redraw === draw) redraw = null;
  });
  redraw = draw;
  draw();
};

const when = (text) => new Date(text).toLocaleString(locales(), { dateStyle: "medium", timeStyle: "medium" });

// ask shows one request. What is shown is what is signed: the facts come out of
// the very text that the gateway sent.
const ask = async (pairing, request) => {
  const shown = JSON.parse(request.shown);
  const row = (name, ...parts) => [h("dt", {}, name), h("dd", {}, parts.filter(Boolean))];
  const what = shown.operation ?? (shown.target ? [h("code", {}, `${shown.method} ${shown.target}`)] : t("ask.what.in"));
  const { prf } = await vault.state();
  const answer = async (made, unlock) => {
    const number = made.elements.number.value.trim();
    wrong(made, "number", "");
    if (!/^\d\d$/.test(number)) return wrong(made, "number", t("ask.number.missing"));
    let secret;
    try {
      ({ secret } = await (await unlock()).read());
    } catch (error) {
      return made.elements.pin && error instanceof DOMException ? wrong(made, "pin", t("lock.phone.failed")) : app.pinWrong(made, error);
    }
    await settle(pairing, () => gateway.approve(pairing, request, number, secret));
  };
  const made = form((f) => answer(f, () => vault.withPIN(f.elements.pin.value)),
    field("number", t("ask.number"), { inputmode: "numeric", maxlength: 2, class: "number", required: true, autofocus: true }),
    field("pin", t("ask.pin"), { ...PIN, autocomplete: "current-password" }),
    submit(t("ask.approve")));
  show([
    h("h2", {}, t("ask.title")),
    h("dl", { class: "facts" },
      row(t("ask.who"), shown.name ? `${shown.name} (${shown.who})` : shown.who),
      row(t("ask.site"), shown.site, h("span", { class: "muted" }, ` ${shown.origin}`)),
      row(t("ask.what"), ...[what].flat()),
      row(t("ask.from"), [shown.place, shown.address].filter(Boolean).join(" – ") || t("ask.unknown")),
      row(t("ask.with"), shown.browser ?? t("ask.unknown")),
      row(t("ask.at"), when(shown.at))),
    made,
    prf && button(t("ask.approve.phone"), () => answer(made, vault.withPhone)),
    button(t("ask.deny"), () => deny(pairing, request), { class: "button danger", id: "deny" }),
    button(t("back"), approvals, { class: "quiet" }),
  ]);
};

// settle sends an answer and says what came of it.
const settle = async (pairing, send) => {
  let out;
  try {
    out = await send();
  } catch (error) {
    if (!(error instanceof gateway.Trouble)) throw error;
    if (error.message !== "gone") return say(error.message === "unpaired" ? t("pair.gone") : trouble(error));
    out = { outcome: "gone" };
  }
  if (out.outcome === "wrong-pin") return say(t("ask.wrong-pin", out));
  await refresh(pairing);
  await approvals();
  say(t(`ask.${out.outcome}`));
};

const refresh = async (pairing) => {
  try {
    now.set(pairing.id, await gateway.waiting(pairing));
  } catch (error) {
    now.set(pairing.id, { requests: [], error });
  }
  badge();
};

const deny = (pairing, request) => {
  show([
    h("h2", {}, t("ask.deny.title")),
    h("p", {}, t("ask.deny.text")),
    button(t("ask.deny.button"), () => settle(pairing, () => gateway.deny(pairing, request)), { class: "button danger", id: "really" }),
    button(t("back"), () => ask(pairing, request), { class: "button" }),
  ]);
};

// offerPairing asks whether this phone is to be paired, with a name for it.
export const offerPairing = async (ticket) => {
  let invited;
  try {
    invited = await gateway.invitation(ticket);
  } catch (error) {
    if (!(error instanceof gateway.Trouble)) throw error;
    app.open("approvals");
    return say(error.message === "ticket" ? t("pair.ticket") : trouble(error));
  }
  show([
    h("h2", {}, t("pair.title")),
    h("p", {}, t("pair.text", invited)),
    form(async (made) => {
      try {
        const { secret } = await app.vault.read();
        const pairing = await gateway.pair(ticket, invited, secret, made.elements.phone.value.trim());
        await app.vault.change((content) => content.pairings.push(pairing));
        confirm(pairing);
      } catch (error) {
        if (!(error instanceof gateway.Trouble)) throw error;
        app.open("approvals");
        say(error.message === "ticket" ? t("pair.ticket") : trouble(error));
      }
    }, field("phone", t("pair.name"), { value: t("pair.name.default"), maxlength: 60 }), submit(t("pair.button"))),
    button(t("cancel"), () => app.open("approvals"), { class: "button" }),
  ]);
};

// confirm shows the number that the browser shows too, until the gateway knows
// the phone.
const confirm = (pairing) => {
  listen();
  let done = false;
  redraw = () => {
    const waiting = now.get(pairing.id);
    if (done || !waiting || waiting.error) return;
    done = true;
    app.open("approvals");
    say(t("pair.done", pairing));
  };
  const mine = redraw;
  show([
    h("h2", {}, t("pair.check.title")),
    h("p", {}, t("pair.check.text", pairing)),
    h("p", { class: "check", id: "check" }, h("span", { "aria-hidden": "true" }, pairing.check), h("span", { class: "vh" }, [...pairing.check].join(" "))),
    h("p", { role: "status" }, t("pair.check.waiting")),
    button(t("back"), () => app.open("approvals"), { class: "quiet" }),
  ], () => {
    if (redraw === mine) redraw = null;
  });
};

const remove = (pairing) => {
  show([
    h("h2", {}, t("approvals.remove.title", pairing)),
    h("p", {}, t("approvals.remove.text", pairing)),
    button(t("approvals.remove"), async () => {
      await app.vault.change((content) => (content.pairings = content.pairings.filter((p) => p.id !== pairing.id)));
      await gateway.unpair(pairing);
      now.delete(pairing.id);
      await listen();
      approvals();
    }, { class: "button danger", id: "really" }),
    button(t("cancel"), approvals, { class: "button" }),
  ]);
};

// Being told: a subscription at the browser's push service, which the gateway
// is given. It hears that something waits, and nothing more.
const mayTell = () => Boolean(globalThis.Notification && globalThis.PushManager && navigator.serviceWorker);

const subscription = async (key) => {
  const { pushManager } = await navigator.serviceWorker.ready;
  const held = await pushManager.getSubscription();
  const same = held?.options.applicationServerKey && [...new Uint8Array(held.options.applicationServerKey)].join() === [...bytes(key)].join();
  if (held && !same) await held.unsubscribe();
  return same ? held : pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
};

const tellMe = async (pairings, key) => {
  try {
    if ((await Notification.requestPermission()) !== "granted") throw new Error("refused");
    const to = (await subscription(key)).toJSON();
    await Promise.all(pairings.map((pairing) => gateway.subscribe(pairing, to)));
    say(t("approvals.told"));
  } catch {
    say(t("approvals.tell.refused"));
  }
  await Promise.all(pairings.map(refresh));
  redraw?.();
};

// renew tells the gateway again where it has lost the place, as long as the
// person has said yes before.
const renewed = new Set();
const renew = async (pairing, key) => {
  if (renewed.has(pairing.id) || !mayTell() || Notification.permission !== "granted") return;
  renewed.add(pairing.id);
  try {
    await gateway.subscribe(pairing, (await subscription(key)).toJSON());
    await refresh(pairing);
  } catch {
    // the person is told on the page of the portal
  }
};
