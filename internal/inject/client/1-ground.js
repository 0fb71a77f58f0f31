
// What everything below stands on. The page may replace whatever it likes
// later on, so what is used is taken now.
const { apply, construct } = Reflect;
const native = {
  fetch: globalThis.fetch, Request, Response, Headers, FormData, URLSearchParams, Blob, URL, XMLHttpRequest, Event, ProgressEvent,
  MessageEvent, DOMException, EventTarget, json: Response.prototype.json, clone: Response.prototype.clone, cloneRequest: Request.prototype.clone,
  listen: EventTarget.prototype.addEventListener, dispatch: EventTarget.prototype.dispatchEvent,
  setTimeout: globalThis.setTimeout.bind(globalThis), clearTimeout: globalThis.clearTimeout.bind(globalThis), open: globalThis.open,
  submit: HTMLFormElement.prototype.submit, create: Document.prototype.createElement,
};
const place = location;
const own = document.currentScript;
const origin = place.origin;
const mark = own?.getAttribute("data-mark") ?? "";
const endsAt = mark ? Date.now() + 1000 * Number(own.getAttribute("data-ends")) : 0;
own?.remove();
// A sandboxed page has no origin, and calls nobody by our cookies. A page
// that runs this a second time has the first already.
const greeting = "stepgate-step-up";
if (globalThis.origin === "null" || !native.dispatch.call(document, new native.Event(greeting, { cancelable: true }))) return;
native.listen.call(document, greeting, (event) => event.preventDefault());

// language is that of the site's that the person reads best.
const language = (navigator.languages ?? []).map((l) => l.split("-")[0]).find((l) => settings.languages.includes(l)) ?? settings.languages[0];
const say = (id, values = {}) => {
  const text = settings.texts[language][id] ?? settings.texts[settings.languages[0]][id] ?? id;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
};
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const on = (target, kind, act, options) => native.listen.call(target, kind, act, options);
// every calls act each so many milliseconds, until it says true.
const every = (milliseconds, act) => {
  let timer = 0;
  const again = async () => {
    if (!(await act())) timer = native.setTimeout(again, milliseconds);
  };
  timer = native.setTimeout(again, milliseconds);
  return () => native.clearTimeout(timer);
};

// replace puts a function in the place of another that looks the same: name,
// length and text are those of the one that it stands for.
const replace = (holder, name, act) => {
  const was = Object.getOwnPropertyDescriptor(holder, name);
  if (typeof was?.value !== "function") return;
  Object.defineProperty(holder, name, { ...was, value: new Proxy(was.value, { apply: act }) });
};

// attend has every new object of a kind be listened to before the page does.
const attend = (name, prepare) => {
  const was = globalThis[name];
  if (typeof was !== "function") return;
  const now = new Proxy(was, {
    construct: (target, args, made) => {
      const object = construct(target, args, made === now ? target : made);
      prepare(object);
      return object;
    },
  });
  Object.defineProperty(was.prototype, "constructor", { ...Object.getOwnPropertyDescriptor(was.prototype, "constructor"), value: now });
  Object.defineProperty(globalThis, name, { ...Object.getOwnPropertyDescriptor(globalThis, name), value: now });
};

const resolved = (address) => {
  try {
    return new native.URL(address, document.baseURI);
  } catch {
    return null;
  }
};
const ours = (address) => resolved(address)?.origin === origin;

// challenged tells whether an answer is the gateway's: 401, from this very
// origin, with a word that the gateway takes out of every answer of the
// application's.
const challenged = (status, address, header) => status === 401 && Boolean(address) && ours(address) && /^Stepgate /.test(header ?? "");

// readChallenge takes what is needed out of a challenge, and no address: the
// one that is opened is made here.
const readChallenge = (problem) => {
  try {
    const c = new native.URL(problem.challenge_url, origin).searchParams.get("c");
    if (/^[\w-]+$/.test(c)) {
      return { c, method: String(problem.method ?? ""), once: problem.once === true };
    }
  } catch {
    // not one of ours
  }
  return null;
};
const doorOf = (c) => `${settings.prefix}/challenge?c=${c}&window=1`;

// live asks the gateway how things stand; null says that it cannot be asked,
// for there is no network, or the page's own policy forbids it.
const live = async (query = "", body) => {
  try {
    const response = await apply(native.fetch, globalThis, [`${settings.prefix}/live${query && "?" + new native.URLSearchParams(query)}`, {
      method: body ? "POST" : "GET", body: body && new native.URLSearchParams(body), cache: "no-store", credentials: "same-origin",
      redirect: "error",
    }]);
    return response.status === 200 ? await native.json.call(response) : null;
  } catch {
    return null;
  }
};

// Windows of this origin tell each other of what they have done. Anybody of
// the origin may say so: it is only a reason to ask the gateway.
const listeners = new Set();
let channel = null;
try {
  channel = new BroadcastChannel("stepgate");
  channel.onmessage = ({ data }) => listeners.forEach((act) => act(String(data)));
} catch {
  // no such thing here: the gateway is asked from time to time
}
const tell = (what) => {
  try {
    channel?.postMessage(what);
  } catch {
    // told nobody
  }
};
