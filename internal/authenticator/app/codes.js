// The list of codes, and one entry's own screen.
import { codeAt, leftAt } from "./otp.js";
import { button, field, form, h, say, show, submit, t } from "./page.js";
import { app } from "./state.js";
import { add } from "./add.js";

const sites = JSON.parse(document.documentElement.dataset.sites || "[]");

// portalOf is which portal of this gateway a code is of, by the name that the
// gateway gives its codes.
const portalOf = (entry) => sites.find((site) => site.issuer && site.issuer === entry.issuer);

const titleOf = (entry) => entry.issuer || entry.name || "?";
const grouped = (code) => code.replace(code.length === 8 ? /(.{4})(?=.)/g : /(.{3})(?=.)/g, "$1 ");
const spelt = (code) => [...code].join(" ");

const card = (entry) => {
  const portal = portalOf(entry);
  const seen = h("span", { "aria-hidden": "true", class: "digits" });
  const heard = h("span", { class: "vh" });
  const left = h("progress", { max: entry.period * 1000, value: 0, "aria-hidden": "true" });
  const leftHeard = h("span", { class: "vh" });
  const made = h("li", { class: "card", "data-entry": entry.id, "data-algorithm": entry.algorithm },
    h("div", { class: "names" },
      h("strong", {}, titleOf(entry)), entry.issuer && entry.name ? h("span", { class: "muted" }, entry.name) : null,
      portal && h("span", { class: "tag", "data-portal": portal.origin }, t("codes.portal", { portal: new URL(portal.origin).host }))),
    h("p", { class: "code" }, seen, heard, leftHeard), left,
    h("div", { class: "row" },
      button(t("codes.copy"), async () => {
        await navigator.clipboard.writeText(await codeAt(entry, Date.now()));
        say(t("codes.copied"));
      }, { "aria-label": `${t("codes.copy")}: ${titleOf(entry)}` }),
      button("⋯", () => edit(entry.id), { class: "button more", "aria-label": t("codes.more", { name: titleOf(entry) }) })));
  let shown = -1;
  const draw = async (now) => {
    const step = Math.floor(now / 1000 / entry.period);
    const rest = leftAt(entry, now);
    left.value = rest;
    if (step === shown) return;
    shown = step;
    const code = await codeAt(entry, now);
    seen.textContent = grouped(code);
    heard.textContent = t("codes.name", { issuer: entry.issuer, name: entry.name, code: spelt(code) });
    leftHeard.textContent = ` ${t("codes.left", { seconds: Math.ceil(rest / 1000) })}`;
  };
  return { made, draw, words: `${entry.issuer} ${entry.name} ${portal?.origin ?? ""}`.toLowerCase() };
};

export const codes = async () => {
  const { entries } = await app.vault.read();
  const cards = entries.map(card);
  const none = h("p", { hidden: true }, t("codes.none"));
  const search = h("input", {
    id: "search", type: "search", "aria-label": t("codes.search"), placeholder: t("codes.search"),
    oninput: () => {
      const words = search.value.toLowerCase().split(/\s+/);
      cards.forEach((c) => (c.made.hidden = !words.every((word) => c.words.includes(word))));
      none.hidden = cards.some((c) => !c.made.hidden);
    },
  });
  const tick = () => Promise.all(cards.map((c) => c.draw(Date.now())));
  const timer = setInterval(tick, 250);
  show([
    h("h2", {}, t("tab.codes")),
    cards.length > 3 && search,
    cards.length ? h("ul", { class: "cards" }, cards.map((c) => c.made)) : h("p", {}, t("codes.empty")),
    none,
    button(t("codes.add"), add, { class: "button main", id: "add" }),
  ], () => clearInterval(timer));
  await tick();
};

const edit = async (id) => {
  const { entries } = await app.vault.read();
  const entry = entries.find((e) => e.id === id);
  if (!entry) return app.open("codes");
  const move = (by) => async () => {
    await app.vault.change(({ entries }) => {
      const at = entries.findIndex((e) => e.id === id);
      const to = Math.min(Math.max(at + by, 0), entries.length - 1);
      entries.splice(to, 0, ...entries.splice(at, 1));
    });
    app.open("codes");
  };
  show([
    h("h2", {}, t("entry.title", { name: titleOf(entry) })),
    h("p", { class: "muted" }, t("entry.details", entry)),
    form(async (made) => {
      const [issuer, name] = [made.elements.issuer.value.trim().slice(0, 200), made.elements.account.value.trim().slice(0, 200)];
      await app.vault.change(({ entries }) => Object.assign(entries.find((e) => e.id === id), { issuer, name }));
      app.open("codes");
    }, field("issuer", t("entry.issuer"), { value: entry.issuer }), field("account", t("entry.name"), { value: entry.name }), submit(t("entry.save"))),
    h("div", { class: "row" }, button(t("entry.up"), move(-1), { id: "up" }), button(t("entry.down"), move(1), { id: "down" })),
    button(t("entry.remove"), () => remove(entry), { class: "button danger", id: "remove" }),
    button(t("back"), () => app.open("codes"), { class: "quiet" }),
  ]);
};

const remove = (entry) => {
  show([
    h("h2", {}, t("entry.remove.title", { name: titleOf(entry) })),
    h("p", {}, t("entry.remove.text")),
    button(t("entry.remove.button"), async () => {
      await app.vault.change((content) => (content.entries = content.entries.filter((e) => e.id !== entry.id)));
      app.open("codes");
      say(t("entry.removed"));
    }, { class: "button danger", id: "really" }),
    button(t("cancel"), () => edit(entry.id), { class: "button" }),
  ]);
};
