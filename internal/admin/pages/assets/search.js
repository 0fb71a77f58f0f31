// Searches as one types: a moment after the last key the form is sent, and the
// page that comes has the field again, with what was typed meanwhile.
(() => {
  "use strict";

  const form = document.querySelector("form[data-search]");
  const field = form?.querySelector("input[name=q]");
  if (!field) return;
  const key = "stepgate admin search";
  const typed = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);

  let waiting;
  const send = () => {
    sessionStorage.setItem(key, field.value);
    form.requestSubmit();
  };
  field.addEventListener("input", () => {
    if (sessionStorage.getItem(key) !== null) sessionStorage.setItem(key, field.value);
    clearTimeout(waiting);
    waiting = setTimeout(send, 300);
  });

  if (typed === null) return;
  const shown = field.value;
  field.focus();
  field.value = typed;
  field.setSelectionRange(typed.length, typed.length);
  if (typed !== shown) waiting = setTimeout(send, 300);
})();
