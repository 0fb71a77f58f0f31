
// needed asks the gateway whether a target wants more than there is now.
const needed = async (verb, address) => {
  const url = resolved(address);
  const state = url && (await live({ method: verb, target: url.pathname + url.search }));
  return state?.c ? { c: state.c, method: verb, once: false } : null;
};

// An event stream that the gateway has ended for want of proof goes on, on the
// object that the page has, from the event that came last.
const sources = new WeakMap();
const sourceIs = globalThis.EventSource && Object.getOwnPropertyDescriptor(EventSource.prototype, "readyState").get;
const noted = (event) => {
  const state = sources.get(event.currentTarget);
  if (event.isTrusted && event.lastEventId) state.last = event.lastEventId;
};

attend("EventSource", (source) => {
  if (!ours(source.url)) return;
  const state = { source, last: "", ready: null, retry: 3000, stop: new AbortController() };
  sources.set(source, state);
  on(source, "message", noted, true);
  on(source, "error", async (event) => {
    if (!event.isTrusted || apply(sourceIs, source, []) !== 2 || state.ready !== null) return;
    event.stopImmediatePropagation();
    state.ready = 0;
    const challenge = await needed("GET", source.url);
    if (!challenge || state.stop.signal.aborted) return fail(state);
    follow(state);
  }, true);
});

const fail = (state) => {
  state.ready = 2;
  fire(state.source, "error");
};

// follow reads the stream by fetch, which waits for the challenge where there
// is one.
const follow = async (state) => {
  const { signal } = state.stop;
  while (!signal.aborted) {
    const headers = { Accept: "text/event-stream", "Cache-Control": "no-cache" };
    if (state.last) headers["Last-Event-ID"] = state.last;
    let response = null;
    try {
      const credentials = state.source.withCredentials ? "include" : "same-origin";
      response = await fetched(globalThis, new Call([state.source.url, { headers, credentials, cache: "no-store", signal }]));
    } catch {
      // no network: tried again
    }
    if (signal.aborted) return;
    if (response && (response.status !== 200 || !/^text\/event-stream\b/i.test(response.headers.get("Content-Type") ?? ""))) return fail(state);
    if (response) {
      state.ready = 1;
      fire(state.source, "open");
      await parse(state, response).catch(() => {});
    }
    if (signal.aborted) return;
    state.ready = 0;
    fire(state.source, "error");
    await new Promise((resolve) => native.setTimeout(resolve, state.retry));
  }
};

// parse reads events as HTML §9.2.6 has them.
const parse = async (state, response) => {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = { data: [], type: "" };
  const line = (text) => {
    if (text === "") {
      if (event.data.length > 0) {
        const properties = { data: event.data.join("\n"), lastEventId: state.last, origin };
        native.dispatch.call(state.source, new native.MessageEvent(event.type || "message", properties));
      }
      event = { data: [], type: "" };
      return;
    }
    const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(text);
    if (name === "data") event.data.push(value);
    else if (name === "event") event.type = value;
    else if (name === "id" && !value.includes("\0")) state.last = value;
    else if (name === "retry" && /^\d+$/.test(value)) state.retry = Number(value);
  };
  on(state.stop.signal, "abort", () => reader.cancel().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  }
};

if (sourceIs) {
  const proto = EventSource.prototype;
  Object.defineProperty(proto, "readyState", {
    ...Object.getOwnPropertyDescriptor(proto, "readyState"),
    get: new Proxy(sourceIs, { apply: (target, self, args) => sources.get(self)?.ready ?? apply(target, self, args) }),
  });
  replace(proto, "close", (target, self, args) => {
    const state = sources.get(self);
    state?.stop.abort();
    if (state?.ready !== null && state) state.ready = 2;
    return apply(target, self, args);
  });
  // Events of other names are noted as soon as the page listens to them.
  Object.defineProperty(proto, "addEventListener", {
    configurable: true, writable: true, enumerable: false,
    value: new Proxy(native.listen, {
      apply: (target, self, args) => {
        const kind = String(args[0]);
        if (sources.has(self) && !["open", "error", "message"].includes(kind)) on(self, kind, noted, true);
        return apply(target, self, args);
      },
    }),
  });
}

// A WebSocket cannot be opened again on the same object. Its end is told to
// the page once the challenge is met, so that the page, which opens another
// one then, is let through.
const endings = [1006, 3000, 3003];
attend("WebSocket", (socket) => {
  const address = resolved(socket.url.replace(/^ws/, "http"));
  if (address?.host !== place.host) return;
  let failed = false;
  on(socket, "error", (event) => {
    if (!event.isTrusted) return;
    failed = true;
    event.stopImmediatePropagation();
  }, true);
  on(socket, "close", async (event) => {
    if (!event.isTrusted) return;
    const pass = () => {
      if (failed) fire(socket, "error");
      native.dispatch.call(socket, new CloseEvent("close", { code: event.code, reason: event.reason, wasClean: event.wasClean }));
    };
    event.stopImmediatePropagation();
    if (endings.includes(event.code)) {
      const challenge = await needed("GET", address.href);
      if (challenge) await ask(challenge);
    }
    pass();
  }, true);
});
