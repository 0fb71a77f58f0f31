// Begins the app: what there is to unlock, what a link brought along, and which
// part is shown.
import { able } from "./soft-token.js";
import * as vault from "./vault.js";
import { ticketOf } from "./entries.js";
import { bar, button, choose, field, form, h, otherLanguages, PIN, show, submit, t, wrong } from "./page.js";
import { codes } from "./codes.js";
import { approvals, listen, offerPairing, stopListening } from "./approvals.js";
import { read } from "./add.js";
import { settings } from "./settings.js";
import { app } from "./state.js";

// brought is what the address brought along: the ticket of a pairing, or a link.
// It leaves the address at once, so that no history keeps it.
let brought = "";

const takeIn = () => {
  if (location.hash.length < 2) return;
  const said = location.hash.slice(1);
  try {
    // A link in a link may have been written as a part of an address.
    brought = said.startsWith("otpauth") && !said.includes("://") ? decodeURIComponent(said) : said;
  } catch {
    brought = said; // read refuses it
  }
  history.replaceState(null, "", "/");
};
takeIn();

addEventListener("hashchange", () => {
  takeIn();
  if (app.vault && brought) takeUp();
});

const takeUp = () => {
  const said = brought;
  brought = "";
  if (said.startsWith("pair=")) offerPairing(ticketOf(`${location.origin}/#${said}`));
  else read(said);
};

const tabs = { codes, approvals, settings };

const open = (name) => {
  drawBar(name);
  tabs[name]();
};
app.open = open;

const drawBar = (current) => {
  const names = Object.keys(tabs).map((name) =>
    h("button", { type: "button", class: "tab", "aria-current": name === current ? "page" : false, onclick: () => open(name), "data-tab": name }, t(`tab.${name}`)));
  bar([h("nav", { "aria-label": t("tabs") }, names), button(t("lock"), lock, { class: "quiet", id: "lock" })]);
};

const languageButtons = () =>
  otherLanguages().map(([lang, name]) => button(name, () => (choose(lang), begin()), { class: "quiet", lang, hreflang: lang }));

// lock forgets the key. It comes by itself when the app was out of sight, or
// untouched, for a while.
const lock = () => {
  app.vault = null;
  stopListening();
  locked();
};

const AWAY = 2 * 60 * 1000;
const IDLE = 5 * 60 * 1000;
let touched = Date.now();
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => (touched = Date.now()), { passive: true });
let hiddenAt = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (app.vault && hiddenAt && Date.now() - hiddenAt > AWAY) lock();
});
setInterval(() => {
  if (app.vault && (Date.now() - touched > IDLE || (document.hidden && Date.now() - hiddenAt > AWAY))) lock();
}, 5000);

const unlocked = (opened) => {
  app.vault = opened;
  touched = Date.now();
  listen();
  open("codes");
  if (brought) takeUp();
};

// weak refuses the PINs that are tried first.
const weak = (pin) => /^(\d)\1+$/.test(pin) || "01234567890123456789".includes(pin) || "98765432109876543210".includes(pin) || /^(..+)\1+$/.test(pin);

const start = () => {
  bar(languageButtons());
  show([
    h("h2", {}, t("start.title")),
    h("p", {}, t("start.text")),
    form(async (made) => {
      const [pin, again] = [made.elements.pin.value, made.elements.again.value];
      wrong(made, "pin", "");
      wrong(made, "again", "");
      if (!/^\d{6,}$/.test(pin)) return wrong(made, "pin", t("start.short"));
      if (weak(pin)) return wrong(made, "pin", t("start.weak"));
      if (pin !== again) return wrong(made, "again", t("start.other"));
      unlocked(await vault.make(pin));
    },
    field("pin", t("start.pin"), { ...PIN, autocomplete: "new-password" }, t("start.hint")),
    field("again", t("start.again"), { ...PIN, autocomplete: "new-password" }),
    submit(t("start.button"))),
  ]);
};

const wiped = () => {
  app.vault = null;
  stopListening();
  bar([]);
  show([h("h2", {}, t("wiped.title")), h("p", {}, t("wiped.text")), button(t("continue"), begin, { class: "button main" })]);
};
app.wiped = wiped;

// pinWrong says what came of a wrong PIN, wherever it was typed.
app.pinWrong = (made, error) => {
  if (error instanceof vault.Wiped) return wiped();
  if (!(error instanceof vault.WrongPIN)) throw error;
  wrong(made, "pin", error.left === 1 ? t("lock.wrong.last") : t("lock.wrong", { left: error.left }));
};

const locked = async () => {
  const { prf } = await vault.state();
  bar(languageButtons());
  const byPhone = async () => {
    try {
      unlocked(await vault.withPhone());
    } catch {
      wrong(document.querySelector("form"), "pin", t("lock.phone.failed"));
    }
  };
  show([
    h("h2", {}, t("lock.title")),
    prf && button(t("lock.phone"), byPhone, { class: "button main", id: "phone" }),
    form(async (made) => {
      try {
        unlocked(await vault.withPIN(made.elements.pin.value));
      } catch (error) {
        app.pinWrong(made, error);
      }
    }, field("pin", t("lock.pin"), { ...PIN, autocomplete: "current-password", autofocus: !prf }), submit(t("lock.button"))),
  ]);
};

const begin = async () => {
  if (!able()) return show([h("h2", {}, t("start.title")), h("p", {}, t("start.unable"))]);
  if ((await vault.state()).made) await locked();
  else start();
};

// The worker keeps the app for when there is no network.
const keep = async () => {
  if (!navigator.serviceWorker) return;
  const worker = globalThis.trustedTypes?.createPolicy("worker", { createScriptURL: (url) => (url === "/worker.js" ? url : "") });
  await navigator.serviceWorker.register(worker ? worker.createScriptURL("/worker.js") : "/worker.js").catch(() => {});
};

await keep();
await begin();
