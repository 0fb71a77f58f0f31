
// Everything that is shown stands in a shadow tree that the page's own styles
// do not reach, and is there only while it is shown.
const looks = `
:host { all: initial; display: block; }
dialog, .line { color: CanvasText; background: Canvas; font: 1rem/1.5 system-ui, sans-serif; text-align: start; }
dialog { color-scheme: light dark; box-sizing: border-box; width: min(32rem, calc(100vw - 2rem)); max-height: calc(100vh - 2rem); overflow: auto; margin: auto;
  padding: 1.5rem; border: 1px solid GrayText; border-radius: .5rem; }
dialog::backdrop { background: rgb(0 0 0 / .5); }
h2 { margin: 0 0 .75rem; font-size: 1.25rem; line-height: 1.3; }
p, ul { margin: 0 0 1rem; padding: 0; }
li { display: block; margin: 0 0 .5rem; }
p:empty { display: none; }
.keys { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
button { font: inherit; min-height: 2.75rem; padding: .5rem 1rem; border: 2px solid #1d4ed8; border-radius: .25rem; cursor: pointer;
  color: #1d4ed8; background: #fff; }
button.first { color: #fff; background: #1d4ed8; }
button:focus-visible, a:focus-visible { outline: 3px solid #f59e0b; outline-offset: 2px; }
a { color: LinkText; }
.line { display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; margin: 0 0 1rem; padding: .75rem 1rem;
  border: 1px solid GrayText; border-inline-start: .375rem solid #1d4ed8; }
@media (forced-colors: active) { button { border-color: ButtonText; } }
`;
let sheet = null;
const dress = (root) => {
  try {
    sheet ??= new CSSStyleSheet();
    if (sheet.cssRules.length === 0) sheet.replaceSync(looks);
    root.adoptedStyleSheets = [sheet];
  } catch {
    // plain, and usable
  }
};

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(native.create.call(document, name), properties);
  made.append(...children);
  return made;
};

// shade makes an empty element with a tree of its own. What is typed and
// pressed in there is no business of the page's.
const shade = () => {
  const host = native.create.call(document, "div");
  host.setAttribute("data-stepgate", "step-up");
  const root = host.attachShadow({ mode: "open", delegatesFocus: true });
  dress(root);
  for (const kind of ["keydown", "keyup", "keypress", "click", "mousedown", "mouseup", "pointerdown", "pointerup", "focusin", "focusout", "input", "change", "submit"]) {
    on(host, kind, (event) => event.stopPropagation());
  }
  return { host, root };
};

// openDialog shows a dialog: a title, what stands in it, its buttons. Escape
// is the last of the buttons. It returns how to close it again.
const openDialog = (title, body, keys) => {
  const { host, root } = shade();
  const heading = element("h2", { id: "title", textContent: title });
  const text = element("div", { id: "text" }, ...body);
  const buttons = keys.map(({ key, first, act }) => {
    const button = element("button", { type: "button", textContent: say(key), className: first ? "first" : "" });
    button.setAttribute("data-stepgate", key);
    on(button, "click", act);
    return button;
  });
  const dialog = element("dialog", {}, heading, text, element("div", { className: "keys" }, ...buttons));
  dialog.setAttribute("aria-labelledby", "title");
  dialog.setAttribute("aria-describedby", "text");
  dialog.lang = language;
  on(dialog, "cancel", (event) => {
    event.preventDefault();
    keys.at(-1).act();
  });
  root.append(dialog);
  const back = document.activeElement;
  const show = () => {
    (document.documentElement ?? document).append(host);
    if (dialog.open) dialog.close();
    dialog.showModal();
    buttons[keys.findIndex(({ first }) => first)].focus();
  };
  show();
  // A page that draws itself anew takes the dialog away with the rest.
  const stop = every(500, () => {
    if (!host.isConnected) show();
  });
  const close = () => {
    stop();
    dialog.close();
    host.remove();
    back?.focus?.({ preventScroll: true });
  };
  return { close, heading, text, buttons, dialog };
};

// status is a line that is read out when it changes.
const status = () => {
  const line = element("p");
  line.setAttribute("role", "status");
  return line;
};

// openWindow opens the challenge beside the page.
const openWindow = (address) => {
  const [width, height] = [Math.min(520, screen.availWidth), Math.min(760, screen.availHeight)];
  const left = Math.max(0, Math.round(screenX + (outerWidth - width) / 2));
  const top = Math.max(0, Math.round(screenY + (outerHeight - height) / 2));
  return apply(native.open, globalThis, [address, "_blank", `popup,width=${width},height=${height},left=${left},top=${top}`]) !== null;
};
