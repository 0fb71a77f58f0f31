// How screens are made: elements with text, never HTML out of a text. What
// comes in from pictures, files and the gateway is only ever shown as text.
import { TEXTS } from "./texts.js";

const root = document.documentElement;
const KEPT = "language";

const languages = root.dataset.languages.split(" ").filter((lang) => TEXTS[lang]);
const preferred = () => {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.split("-")[0])];
  return wanted.find((lang) => languages.includes(lang)) ?? languages[0] ?? "en";
};

let language = preferred();
root.lang = language;

// otherLanguages are those that could be chosen, with their own names.
export const otherLanguages = () => languages.filter((lang) => lang !== language).map((lang) => [lang, TEXTS[lang]["language.name"]]);
export const choose = (lang) => {
  localStorage.setItem(KEPT, lang);
  language = lang;
  root.lang = lang;
};

// locales are how dates are written: as the phone does where it speaks the
// language, and where the browser does not know it, not the American way.
export const locales = () => [...navigator.languages.filter((tag) => tag.split("-")[0] === language), `${language}-GB`, "en-GB"];

// t is a text, with {names} filled in. One that does not exist is an error of
// ours, and shows.
export const t = (id, values = {}) =>
  (TEXTS[language][id] ?? TEXTS.en[id] ?? id).replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));

// h makes an element: attributes, listeners (on…), and children that are
// elements or texts.
export const h = (tag, attributes = {}, ...children) => {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return e;
};

export const button = (text, onclick, attributes = {}) => h("button", { type: "button", class: "button", onclick, ...attributes }, text);

let ending = null;

// show puts a screen up. It begins with a heading, which is what a reader hears
// first. end, where a screen gives one, is called when it goes.
export const show = (parts, end = null) => {
  ending?.();
  ending = end;
  const screen = document.querySelector("#screen");
  screen.replaceChildren(...parts.flat().filter(Boolean));
  const first = screen.querySelector("[autofocus]") ?? screen.querySelector("h2");
  if (first?.matches("h2")) first.tabIndex = -1;
  first?.focus();
  scrollTo(0, 0);
};

// bar is what stands in the head of every screen.
export const bar = (parts) => document.querySelector("#bar").replaceChildren(...parts.filter(Boolean));

// say tells what has just happened, to who sees and to who hears.
let quiet;
export const say = (text) => {
  const said = document.querySelector("#said");
  clearTimeout(quiet);
  said.replaceChildren(text);
  quiet = setTimeout(() => said.replaceChildren(), 6000);
};

addEventListener("pointerdown", () => document.querySelector("#said").replaceChildren());

// field is one input with its label; wrong is what is wrong with it.
export const field = (name, label, attributes = {}, hint = null) => {
  const about = [hint && `${name}-hint`, `${name}-wrong`].filter(Boolean).join(" ");
  return h("div", { class: "field" },
    h("label", { for: name }, label),
    hint && h("p", { class: "hint", id: `${name}-hint` }, hint),
    h("p", { class: "wrong", id: `${name}-wrong`, role: "alert" }),
    h("input", { id: name, name, "aria-describedby": about, autocomplete: "off", ...attributes }));
};

export const wrong = (form, name, text) => {
  const input = form.elements[name];
  form.querySelector(`#${name}-wrong`).replaceChildren(text);
  if (text) {
    input.setAttribute("aria-invalid", "true");
    input.value = input.type === "password" || input.inputMode === "numeric" ? "" : input.value;
    input.focus();
  } else {
    input.removeAttribute("aria-invalid");
  }
};

export const PIN = { type: "password", inputmode: "numeric", class: "pin", minlength: 6, required: true };

// form makes a form whose answer is handled once at a time.
export const form = (act, ...children) => {
  let busy = false;
  return h("form", {
    novalidate: true,
    onsubmit: async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      const made = event.currentTarget;
      made.setAttribute("aria-busy", "true");
      try {
        await act(made);
      } finally {
        busy = false;
        made.removeAttribute("aria-busy");
      }
    },
  }, ...children.flat().filter(Boolean));
};

export const submit = (text) => h("button", { type: "submit", class: "button main" }, text);
