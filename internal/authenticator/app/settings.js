// Settings: the phone's own unlock, files, and the end of everything.
import * as vault from "./vault.js";
import { exported, imported, MAX_FILE } from "./files.js";
import { Refused } from "./entries.js";
import { button, field, form, h, PIN, say, show, submit, t, wrong } from "./page.js";
import { app } from "./state.js";
import { check } from "./add.js";

export const settings = async () => {
  const { prf } = await vault.state();
  const phone = !prf && (await vault.mayUsePhone());
  const file = h("input", { type: "file", id: "file", class: "vh", tabindex: "-1", "aria-label": t("settings.import.choose"), onchange: () => open(file) });
  show([
    h("h2", {}, t("settings.title")),
    prf && h("p", { class: "muted" }, t("settings.phone.on")),
    phone && [h("h3", {}, t("settings.phone")), h("p", {}, t("settings.phone.text")),
      form(async (made) => {
        try {
          await vault.addPhone(made.elements.pin.value, document.documentElement.dataset.name);
          say(t("settings.phone.on"));
          settings();
        } catch (error) {
          if (error instanceof vault.WrongPIN || error instanceof vault.Wiped) return app.pinWrong(made, error);
          wrong(made, "pin", t("settings.phone.failed"));
        }
      }, field("pin", t("lock.pin"), { ...PIN, autocomplete: "current-password" }), submit(t("settings.phone")))],
    h("h3", {}, t("settings.export")), h("p", {}, t("settings.export.text")),
    form(save, field("password", t("settings.export.password"), { type: "password", autocomplete: "new-password" }),
      field("same", t("settings.export.again"), { type: "password", autocomplete: "new-password" }), submit(t("settings.export"))),
    h("h3", {}, t("settings.import")), h("p", {}, t("settings.import.text")),
    button(t("settings.import.choose"), () => file.click()), file,
    h("h3", {}, t("settings.wipe")), button(t("settings.wipe"), end, { class: "button danger" }),
  ]);
};

const save = async (made) => {
  const [password, same] = [made.elements.password.value, made.elements.same.value];
  wrong(made, "password", "");
  wrong(made, "same", "");
  if (password.length < 12) return wrong(made, "password", t("settings.export.short"));
  if (password !== same) return wrong(made, "same", t("settings.export.other"));
  const { entries } = await app.vault.read();
  const blob = new Blob([await exported(entries, password)], { type: "application/json" });
  const link = h("a", { href: URL.createObjectURL(blob), download: "authenticator.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say(t("settings.export.done"));
};

const open = async (input) => {
  const [file] = input.files;
  input.value = "";
  if (!file) return;
  if (file.size > MAX_FILE) return say(t("settings.import.large"));
  const text = await file.text();
  try {
    check(await imported(text, () => typed(text)));
  } catch (error) {
    settings();
    say(t(error instanceof Refused ? error.message : "refused.file"));
  }
};

// typed asks for the password of a file.
const typed = () =>
  new Promise((resolve) => {
    show([
      h("h2", {}, t("settings.import")),
      form((made) => resolve(made.elements.password.value), field("password", t("settings.import.password"), { type: "password", autofocus: true }), submit(t("continue"))),
      button(t("cancel"), settings, { class: "button" }),
    ]);
  });

const end = () => {
  show([
    h("h2", {}, t("settings.wipe.title")),
    h("p", {}, t("settings.wipe.text")),
    button(t("settings.wipe.button"), async () => {
      app.vault = null;
      await vault.wipe();
      location.reload();
    }, { class: "button danger", id: "really" }),
    button(t("cancel"), settings, { class: "button" }),
  ]);
};
