// Adds entries, and begins pairings: by camera, by picture, by paste, by link.
// Nothing is kept before the person has seen what it is.
import { entryOf, fromText, MAX_ENTRIES, Refused } from "./entries.js";
import { fromCamera, fromPicture } from "./scan.js";
import { button, field, form, h, say, show, submit, t, wrong } from "./page.js";
import { app } from "./state.js";
import { offerPairing } from "./approvals.js";

// read takes what a picture, a link or a paste holds; refused is told where it
// cannot be taken.
export const read = (text, refused = say) => {
  let found;
  try {
    found = fromText(text);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refused(t(error.message));
  }
  if (found.ticket) return offerPairing(found.ticket);
  check(found);
};

// bareKey makes an entry of a key that was typed without a link.
const bareKey = (text) => /^[a-z2-7\s=-]{8,}$/i.test(text.trim());

export const add = () => {
  const file = h("input", {
    type: "file", accept: "image/*", id: "picture", class: "vh", tabindex: "-1", "aria-label": t("add.picture"),
    onchange: async () => {
      const [picture] = file.files;
      const said = picture ? await fromPicture(picture).catch(() => "") : "";
      if (said) read(said);
      else say(t("add.picture.none"));
      file.value = "";
    },
  });
  show([
    h("h2", {}, t("add.title")),
    h("div", { class: "column" },
      button(t("add.camera"), camera, { class: "button main", id: "camera" }),
      button(t("add.picture"), () => file.click()), file),
    form(async (made) => {
      const text = made.elements.paste.value;
      wrong(made, "paste", "");
      if (bareKey(text)) return check({ entries: [entryOf({ secret: text })], skipped: 0 });
      read(text, (why) => wrong(made, "paste", why));
    }, field("paste", t("add.paste"), { autocapitalize: "none", spellcheck: "false" }, t("add.paste.hint")), submit(t("add.read"))),
    button(t("back"), () => app.open("codes"), { class: "quiet" }),
  ]);
};

const camera = async () => {
  const stop = new AbortController();
  const video = h("video", { playsinline: true, muted: true, class: "finder", "aria-hidden": "true" });
  show([
    h("h2", {}, t("add.camera")), h("p", { role: "status" }, t("add.camera.looking")), video, button(t("back"), add, { class: "button" }),
  ], () => stop.abort());
  try {
    const said = await fromCamera(video, stop.signal);
    if (said) read(said, (why) => (add(), say(why)));
  } catch (error) {
    if (stop.signal.aborted) return;
    add();
    say(t("add.camera.none", { why: error.name }));
  }
};

// check shows what is about to be added.
export const check = ({ entries, skipped }) => {
  const rows = entries.map((e) => h("li", { class: "card" }, h("strong", {}, e.issuer || e.name || "?"), h("span", { class: "muted" }, e.name), h("span", { class: "muted" }, t("entry.details", e))));
  const single = entries.length === 1 ? entries[0] : null;
  show([
    h("h2", {}, single ? t("add.check.title") : t("add.check.title.many", { count: entries.length })),
    !single && h("ul", { class: "cards" }, rows),
    skipped > 0 && h("p", {}, t("add.check.skipped", { count: skipped })),
    form(async (made) => {
      if (single) Object.assign(single, { issuer: made.elements.issuer.value.trim().slice(0, 200), name: made.elements.account.value.trim().slice(0, 200) });
      const fits = await app.vault.change((content) => {
        if (content.entries.length + entries.length > MAX_ENTRIES) return false;
        content.entries.push(...entries);
        return true;
      });
      app.open("codes");
      say(fits ? t("add.added") : t("add.full", { count: MAX_ENTRIES }));
    },
    single && [field("issuer", t("entry.issuer"), { value: single.issuer }), field("account", t("entry.name"), { value: single.name }), h("p", { class: "muted" }, t("entry.details", single))],
    submit(t("add.check.button"))),
    button(t("cancel"), () => app.open("codes"), { class: "button" }),
  ]);
};
