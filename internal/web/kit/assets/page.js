// What the gateway's pages gain where scripts run. Every page works without.
// Nothing here builds HTML, and elements are found by selectors only, so that
// no name of a field or form can stand in for something else.
(() => {
  "use strict";

  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

  // A form goes out once: a second press within ten seconds is dropped. The
  // button stays enabled, because a disabled one would not send its value.
  const pause = 10_000;
  const sent = new WeakMap();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (Date.now() - (sent.get(form) ?? -pause) < pause || event.submitter?.getAttribute("aria-disabled") === "true") {
      event.preventDefault();
      return;
    }
    sent.set(form, Date.now());
    mark(form, "true");
    setTimeout(() => release(form), pause);
  });
  const mark = (form, state) => {
    form.querySelectorAll("button.button").forEach((b) => {
      if (!b.dataset.held) b.setAttribute("aria-disabled", state);
    });
  };
  const release = (form) => {
    sent.delete(form);
    mark(form, "false");
  };
  // A page that comes back from the browser's memory is usable again.
  addEventListener("pageshow", (event) => {
    if (event.persisted) each("form", release);
  });

  // What follows the # of the address that somebody came for is kept by the
  // browser alone.
  const place = location.hash;

  // Where somebody leaves for another site it waits in this tab, under a name
  // that goes with them, and is taken up once they are back. Without a storage
  // it is lost, and nothing else is.
  const kept = "stepgate-place";
  const keep = (name) => {
    try {
      sessionStorage.setItem(kept, name + place);
      return name;
    } catch {
      return "";
    }
  };
  const take = (name) => {
    try {
      const [found, ...rest] = (sessionStorage.getItem(kept) ?? "").split("#");
      sessionStorage.removeItem(kept);
      return found === name ? "#" + rest.join("#") : "";
    } catch {
      return "";
    }
  };
  if (place) each("input[data-place]", (field) => (field.value = keep(field.dataset.place)));
  each("a[data-leaves]", (link) => location.replace(link.getAttribute("href") + (place && keep(link.dataset.leaves))));
  each("a[data-returns]", (link) => location.replace(link.getAttribute("href") + take(link.dataset.returns)));

  // On this site redirects carry it along, forms and links do only so. Links to
  // places on this page stay what they are.
  const carry = (name) => (element) => {
    const to = element.getAttribute(name);
    if (to && to.startsWith(own) && !to.includes("#")) element.setAttribute(name, to + place);
  };
  const own = new URL("../", document.currentScript.src).pathname;
  each("button[formaction]", (button) => button.removeAttribute("formaction")); // which is for pages without scripts
  if (place && !document.getElementById(place.slice(1))) {
    each("form[action]", carry("action"));
    each("a[href]", carry("href"));
  }

  // How strong a password is, in words, as it is typed: by its length and its
  // different characters, as the gateway counts them. What many people choose
  // only the gateway knows.
  each("[data-strength]", (words) => {
    const field = document.querySelector(`[id="${words.dataset.strength}"]`);
    field?.addEventListener("input", () => {
      const typed = [...field.value.normalize("NFC")];
      const worth = Math.min(typed.length, 2 * new Set(typed).size);
      const word = typed.length < Number(words.dataset.min) ? "short" : worth >= 16 ? "strong" : worth >= 12 ? "good" : "fair";
      words.hidden = typed.length === 0;
      if (words.textContent !== words.dataset[word]) words.textContent = words.dataset[word];
    });
  });

  // The summary of errors is what a reader hears first.
  each("[data-focus]", (summary) => summary.focus());
  // A link of the summary goes to the field itself, label in sight.
  each(".errors a", (link) => link.addEventListener("click", (event) => {
    const field = document.getElementById(link.getAttribute("href").slice(1));
    if (!field) return;
    event.preventDefault();
    (field.closest(".field") ?? field).scrollIntoView();
    field.focus({ preventScroll: true });
  }));

  // Show and hide what was typed; hidden again before it is sent, so that
  // browsers do not keep it as ordinary text.
  each("[data-reveal]", (button) => {
    const input = document.getElementById(button.dataset.reveal);
    if (!input) return;
    const flip = () => {
      input.type = input.type === "password" ? "text" : "password";
      const { other, otherLabel } = button.dataset;
      button.dataset.other = button.textContent;
      button.dataset.otherLabel = button.getAttribute("aria-label");
      button.textContent = other;
      button.setAttribute("aria-label", otherLabel);
    };
    button.hidden = false;
    button.addEventListener("click", flip);
    input.closest("form")?.addEventListener("submit", () => {
      if (input.type === "text") flip();
    });
  });

  // Copy the codes of a list, one a line, or a single text.
  each("[data-copy]", (button) => {
    const source = document.getElementById(button.dataset.copy);
    if (!source || !navigator.clipboard) return;
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const codes = [...source.querySelectorAll("code")];
      const text = (codes.length > 0 ? codes : [source]).map((c) => c.textContent.trim()).join("\n");
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        return; // refused by the browser: the text can still be selected
      }
      say(button, button.dataset.copied);
      button.textContent = button.dataset.copied;
      setTimeout(() => {
        button.textContent = label;
        say(button, "");
      }, 4_000);
    });
  });
  const say = (button, text) => {
    const status = button.parentElement.querySelector("[role=status]");
    if (status) status.textContent = text;
  };

  // Seconds count down for the eye; readers are told at the end only.
  each("[data-countdown]", (line) => {
    const tick = line.querySelector("[data-tick]");
    const status = line.querySelector("[role=status]");
    const held = document.getElementById(line.dataset.for);
    const end = Date.now() + Number(line.dataset.countdown) * 1000;
    if (!tick || !(end > Date.now())) return;
    const hold = (on) => {
      if (!held) return;
      held.dataset.held = on ? "yes" : "";
      held.setAttribute("aria-disabled", String(on));
    };
    const show = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left > 0) {
        const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
        tick.textContent = line.dataset.running.replace("{time}", clock);
        return;
      }
      clearInterval(timer);
      hold(false);
      tick.textContent = "";
      tick.hidden = true;
      status.classList.remove("vh");
      status.textContent = line.dataset.done;
    };
    hold(true);
    const timer = setInterval(show, 1000);
    show();
  });
})();
