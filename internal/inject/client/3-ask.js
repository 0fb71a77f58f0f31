
// One dialog stands for all calls that wait. Each of them is let go with true
// once it may be repeated, or with false.
const waiting = new Set();
let asking = null;

// ask waits until a challenge is met. With advice the person repeats the step
// themselves.
const ask = (challenge, { signal, tries = 0, advice } = {}) => new Promise((resolve, reject) => {
  const waiter = {
    challenge, tries, advice,
    go: (answer) => {
      waiting.delete(waiter);
      signal?.removeEventListener("abort", gone);
      resolve(answer);
    },
  };
  const gone = () => {
    waiting.delete(waiter);
    reject(signal.reason);
    if (waiting.size === 0) asking?.end();
  };
  if (signal?.aborted) return reject(signal.reason);
  if (signal) on(signal, "abort", gone);
  waiting.add(waiter);
  asking ??= openAsking();
  asking.more();
});

const release = (answer) => [...waiting].forEach((waiter) => waiter.go(answer));

const openAsking = () => {
  let opened = false; // the window, at least once for what waits now
  let checking = false;
  const text = element("p", { textContent: say("ask.text") });
  const line = status();
  const fallback = element("p");
  const first = () => waiting.values().next().value?.challenge.c;
  const open = () => {
    const c = first();
    if (!c) return;
    opened = true;
    fallback.replaceChildren();
    if (openWindow(doorOf(c))) {
      line.textContent = say("ask.waiting");
    } else {
      line.textContent = say("ask.blocked");
      const link = element("a", { href: doorOf(c), target: "_blank", textContent: say("ask.link") });
      fallback.append(link);
      link.focus();
    }
    box.buttons[0].textContent = say("ask.reopen");
  };
  const cancel = () => {
    self.end();
    release(false);
  };
  const box = openDialog(say("ask.title"), [text, line, fallback], [{ key: "ask.open", first: true, act: open }, { key: "ask.cancel", act: cancel }]);

  // look asks the gateway whether what was asked for is met by now.
  const look = async (told) => {
    const c = first();
    if (checking || !c) return false;
    checking = true;
    const state = await live({ c });
    checking = false;
    if (asking !== self) return true;
    if (state === null) {
      // Told by a window, and the gateway cannot be asked: the calls ask it.
      if (told && navigator.onLine) return met();
      line.textContent = navigator.onLine ? line.textContent : say("ask.offline");
      return false;
    }
    if (line.textContent === say("ask.offline")) line.textContent = opened ? say("ask.waiting") : "";
    if (!state.signed_in && !opened) text.textContent = say("ask.sign-in");
    // A call that was let go again and again is not met by what is there.
    if (state.met && (opened || [...waiting].every((waiter) => waiter.tries < 3))) return met();
    return false;
  };
  const met = () => {
    tell("close");
    self.end();
    release(true);
    return true;
  };
  const hear = (what) => what === "met" && look(true);
  const wake = () => document.visibilityState === "visible" && look();
  listeners.add(hear);
  for (const kind of ["focus", "online"]) on(globalThis, kind, wake);
  on(document, "visibilitychange", wake);
  const stop = every(2000, () => look());
  const self = {
    more: () => {
      if ([...waiting].some((waiter) => waiter.advice)) text.textContent = say("ask.again");
    },
    end: () => {
      stop();
      listeners.delete(hear);
      for (const kind of ["focus", "online"]) globalThis.removeEventListener(kind, wake);
      document.removeEventListener("visibilitychange", wake);
      asking = null;
      box.close();
    },
  };
  look();
  return self;
};
