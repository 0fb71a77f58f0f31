
// A form that is sent into a frame, as uploads were before there was anything
// better, gets the gateway's small page there instead of its answer. It is
// sent once more, with what it had, when the challenge is met.
const sentForms = new Map();
const posted = (form, submitter) => {
  const name = submitter?.getAttribute("formtarget") ?? form.getAttribute("target");
  const verb = submitter?.getAttribute("formmethod") ?? form.getAttribute("method");
  if (!name || !/^post$/i.test(verb ?? "")) return;
  const address = resolved(submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? "");
  if (address?.origin !== origin) return;
  let fields;
  try {
    fields = new native.FormData(form, submitter ?? undefined);
  } catch {
    fields = new native.FormData(form);
  }
  sentForms.set(name, { address: address.href, fields, coding: submitter?.getAttribute("formenctype") ?? form.getAttribute("enctype") ?? "", charset: form.getAttribute("accept-charset") ?? "" });
};
on(globalThis, "submit", (event) => {
  const { target, submitter } = event;
  native.setTimeout(() => {
    if (!event.defaultPrevented) posted(target, submitter);
  }, 0);
}, true);
replace(HTMLFormElement.prototype, "submit", (target, self, args) => {
  posted(self, null);
  return apply(target, self, args);
});

const repost = (name, { address, fields, coding, charset }) => {
  const form = element("form", { method: "post", action: address, target: name, hidden: true });
  form.setAttribute("enctype", coding);
  form.setAttribute("accept-charset", charset);
  for (const [key, value] of fields) {
    const input = element("input", { type: typeof value === "string" ? "hidden" : "file", name: key });
    if (typeof value === "string") {
      input.value = value;
    } else {
      const files = new DataTransfer();
      if (value.name || value.size) files.items.add(value);
      input.files = files.files;
    }
    form.append(input);
  }
  document.documentElement.append(form);
  native.submit.call(form);
  form.remove();
};

on(document, "load", async (event) => {
  const frame = event.target;
  if (!(frame instanceof HTMLIFrameElement) || !sentForms.has(frame.name)) return;
  const sent = sentForms.get(frame.name);
  let door = null;
  try {
    door = frame.contentDocument.querySelector("a[data-stepgate=door]");
  } catch {
    // of another origin
  }
  if (!door) {
    sentForms.delete(frame.name);
    return;
  }
  const challenge = readChallenge({ challenge_url: door.href });
  if (!challenge) return;
  event.stopImmediatePropagation();
  if (await ask(challenge)) repost(frame.name, sent);
  else fire(frame, "load");
}, true);

// Above a form whose target wants more stands a line that says so, where the
// operator has asked for it. The gateway is told the form's address, and
// nothing of what is in it.
const forewarn = async (form, address) => {
  const challenge = await needed("POST", address);
  if (!challenge || !form.isConnected) return;
  const { host, root } = shade();
  const text = element("span", { textContent: say("early.text") });
  text.setAttribute("role", "status");
  const button = element("button", { type: "button", textContent: say("ask.open") });
  const link = element("a", { href: doorOf(challenge.c), target: "_blank", textContent: say("ask.link"), hidden: true });
  const line = element("div", { className: "line", lang: language }, text, button, link);
  root.append(line);
  form.before(host);
  on(button, "click", () => {
    if (!openWindow(doorOf(challenge.c))) link.hidden = false;
  });
  let over = false;
  const look = async () => {
    const state = over ? null : await live({ c: challenge.c });
    if (!state?.met || over) return over || !host.isConnected;
    over = true;
    tell("close");
    text.textContent = say("early.done");
    button.remove();
    link.remove();
    return true;
  };
  listeners.add((what) => what === "met" && look());
  on(globalThis, "focus", look);
  every(15000, look);
};

if (settings.early) {
  on(document, "DOMContentLoaded", () => {
    const seen = new Set();
    for (const form of document.querySelectorAll("form[method=post i]")) {
      const written = form.querySelectorAll("textarea, input:not([type=hidden], [type=submit], [type=button], [type=image], [type=reset]), select");
      const address = resolved(form.getAttribute("action") ?? "");
      if (written.length === 0 || address?.origin !== origin || seen.size === 5) continue;
      seen.add(form);
      forewarn(form, address.href);
    }
  });
}
