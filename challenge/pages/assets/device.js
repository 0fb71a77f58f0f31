// Lets the pages of a private device use its key. A PIN that unlocks a key stays
// here: its field is not sent.
import { able, forget, has, make, use } from "./soft-token.js";

const form = document.querySelector("form[data-device]");
const options = JSON.parse(form.dataset.device || "null");
const say = (name) => {
  form.querySelectorAll("[data-device-says]").forEach((e) => {
    e.hidden = e.dataset.deviceSays !== name;
  });
};

const answer = form.querySelector("input[name=credential]");
const pin = form.querySelector("input[name=pin]");

// The page of a PIN, whose key is made or used with it.
const withPin = () => {
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy || !pin.value) return;
    busy = true;
    say("waiting");
    try {
      if (options.kind === "use") {
        answer.value = await use(pin.value, options);
        pin.disabled = true;
      } else {
        // Without the key the PIN is chosen all the same.
        answer.value = await make(pin.value, options).catch(() => "");
      }
      form.submit();
    } catch (error) {
      busy = false;
      say(error.name === "NotFoundError" ? "lost" : "failed");
    }
  });
};

// The page where a device is public or private.
const withChoice = () => {
  form.querySelector("input[name=able]").value = "1";
  form.addEventListener("submit", async (event) => {
    const choice = new FormData(form).get("device");
    if (choice !== "public" || !options?.key) return;
    event.preventDefault();
    await forget(options.key).catch(() => {});
    form.submit();
  });
};

const start = async () => {
  if (!pin) {
    if (able()) withChoice();
    return;
  }
  if (options.kind === "make") {
    if (able()) withPin();
    return;
  }
  const fields = form.querySelector("fieldset");
  const held = able() && (await has(options.key).catch(() => false));
  if (!held) {
    fields.hidden = true;
    return say(able() ? "lost" : "unable");
  }
  fields.disabled = false;
  say("");
  withPin();
  pin.focus();
};

start();
