
// Two minutes before the session ends for want of anything happening, the
// person is asked whether they are still there.
const notice = 120;
let warned = null;

// soon is when that is: where a session may idle for less than four minutes,
// half-way.
const soon = Math.min(notice, (endsAt - Date.now()) / 2000);

// warnLater looks again when the session is about to end, as far as is known.
let alarm = 0;
const warnLater = (left) => {
  native.clearTimeout(alarm);
  alarm = native.setTimeout(wakeUp, Math.min(2 ** 31 - 1, 1000 * Math.max(1, left - soon)));
};
const wakeUp = async () => {
  const state = await live();
  if (state === null) return warnLater(60);
  if (!state.signed_in || warned) return;
  if (state.expires_in_s > soon + 2) return warnLater(state.expires_in_s);
  warned = openWarning(state);
};

const openWarning = (state) => {
  let end = Date.now() + 1000 * state.expires_in_s;
  const last = state.ends_in_s <= state.expires_in_s;
  const text = element("p");
  const line = status();
  const close = () => {
    stop();
    listeners.delete(hear);
    box.close();
    warned = null;
  };
  const again = (left) => {
    close();
    warnLater(left);
  };
  const stay = async () => {
    const now = await live("", { action: "stay", csrf_token: state.token });
    if (!now?.signed_in) {
      line.textContent = say("ends.failed");
      return;
    }
    tell("stayed");
    again(now.expires_in_s);
  };
  const over = () => {
    text.textContent = say("ends.over");
    box.buttons[0].textContent = say("ends.in");
    box.buttons[0].onclick = () => openWindow(`${settings.prefix}/challenge`);
    return true;
  };
  const act = () => (Date.now() >= end || last ? undefined : stay());
  const keys = last ? [{ key: "ends.close", first: true, act: () => close() }] : [{ key: "ends.stay", first: true, act }, { key: "ends.close", act: () => close() }];
  const box = openDialog(say("ends.title"), [text, line], keys);
  const show = () => {
    const left = (end - Date.now()) / 1000;
    if (left <= 0) return over();
    text.textContent = say(last ? "ends.last" : "ends.text", { time: clock(left) });
    return false;
  };
  const stop = every(1000, show);
  const hear = async (what) => {
    if (what !== "stayed") return;
    const now = await live();
    if (now?.signed_in && now.expires_in_s > soon) again(now.expires_in_s);
  };
  listeners.add(hear);
  show();
  return box;
};
if (endsAt) warnLater((endsAt - Date.now()) / 1000);

// What has been confirmed, and for how long, is shown on demand: by
// Alt+Shift+S, or by a link to #stepgate-proofs that the page may have.
let proofs = null;
const openProofs = async () => {
  if (proofs) return;
  proofs = true;
  const list = element("ul");
  const who = element("p");
  const line = status();
  let state = null;
  let at = 0;
  const show = () => {
    const gone = (Date.now() - at) / 1000;
    who.textContent = state?.signed_in ? say("proofs.signed-in", { name: state.username }) : say(state ? "proofs.nobody" : "ask.offline");
    const items = (state?.proofs ?? []).filter((p) => p.left_s === undefined || p.left_s > gone).map((p) => {
      const factor = say(`factor.${p.factor}`);
      return element("li", { textContent: p.left_s === undefined ? say("proofs.session", { factor }) : say("proofs.left", { factor, time: clock(p.left_s - gone) }) });
    });
    if (state?.signed_in && items.length === 0) items.push(element("li", { textContent: say("proofs.none") }));
    list.replaceChildren(...items);
  };
  const load = async (body) => {
    const now = await live("", body);
    if (body && !now) line.textContent = say("ends.failed");
    if (now) [state, at] = [now, Date.now()];
    show();
    return now;
  };
  const drop = async () => {
    if (state?.token && (await load({ action: "drop", csrf_token: state.token }))) line.textContent = say("proofs.dropped");
  };
  await load();
  const close = () => {
    stop();
    box.close();
    proofs = null;
  };
  const box = openDialog(say("proofs.title"), [who, list, line], [{ key: "proofs.drop", act: drop }, { key: "ends.close", first: true, act: close }]);
  const stop = every(1000, () => show());
};
on(globalThis, "keydown", (event) => {
  if (event.altKey && event.shiftKey && !event.ctrlKey && !event.metaKey && event.code === "KeyS") {
    event.preventDefault();
    openProofs();
  }
}, true);
on(document, "click", (event) => {
  if (!event.target.closest?.("a[href$='#stepgate-proofs']")) return;
  event.preventDefault();
  openProofs();
});

// A page that comes out of the browser's memory is shown only to whom it was
// made for: not after a sign-out, not to the next person. Until the gateway
// has said so it stays hidden.
let forbidden = false; // the page's own policy lets nobody ask
on(document, "securitypolicyviolation", (event) => {
  if (event.blockedURI.startsWith(`${origin}${settings.prefix}/live`)) forbidden = true;
});
const checkAgain = async () => {
  const { style } = document.documentElement;
  const before = [style.getPropertyValue("visibility"), style.getPropertyPriority("visibility")];
  style.setProperty("visibility", "hidden", "important");
  const look = async () => {
    const state = await live();
    if (state === null && !forbidden) return false;
    if (state?.mark === mark) style.setProperty("visibility", ...before);
    else place.reload();
    return true;
  };
  if (!(await look())) every(1000, look);
};
on(globalThis, "pageshow", (event) => event.persisted && mark && checkAgain());
if (mark && performance.getEntriesByType("navigation")[0]?.type === "back_forward") checkAgain();
