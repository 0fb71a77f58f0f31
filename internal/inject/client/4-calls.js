
// kept is a body as it is now, whatever the page does to it later. A stream
// is read by two from now on.
const kept = (body) => {
  if (body instanceof native.FormData) {
    const copy = new native.FormData();
    for (const [name, value] of body) copy.append(name, value);
    return copy;
  }
  if (body instanceof native.URLSearchParams) return new native.URLSearchParams(body);
  if (body instanceof ArrayBuffer) return body.slice(0);
  if (ArrayBuffer.isView(body)) return body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength);
  return body;
};

// frozen makes the bytes of a form that is sent several times always the same:
// a proof for one request holds for no others.
const frozen = async (body) => {
  if (!(body instanceof native.FormData)) return null;
  const written = new native.Response(body);
  return { type: written.headers.get("Content-Type"), body: await written.blob() };
};

// A Call is one fetch of the page's that may have to be made again.
class Call {
  constructor([input, init]) {
    this.request = input instanceof native.Request;
    this.input = input;
    this.init = init === undefined || init === null ? {} : { ...init };
    this.signal = this.init.signal ?? (this.request ? input.signal : undefined);
    this.method = String(this.init.method ?? (this.request ? input.method : "GET")).toUpperCase();
    this.first = [input, init];
    if (this.init.headers) this.init.headers = new native.Headers(this.init.headers);
    const { body } = this.init;
    if (body instanceof ReadableStream) {
      const [now, later] = body.tee();
      this.first = [input, { ...init, body: now }];
      this.init.body = later;
    } else if (body !== undefined && body !== null) {
      this.init.body = kept(body);
    } else if (this.request && input.body) {
      this.input = native.cloneRequest.call(input);
    }
  }

  // again are the arguments of one more time.
  again() {
    const init = { ...this.init };
    let { input } = this;
    if (init.body instanceof ReadableStream) [init.body, this.init.body] = init.body.tee();
    else init.body = kept(init.body);
    if (this.request && input.body && !init.body) input = native.cloneRequest.call(input);
    return [input, init];
  }

  // follow goes on from where the call was led to: what it has done on the way
  // is not done twice.
  follow(address, method) {
    const same = method === this.method;
    const { body, method: _, ...init } = this.init;
    if (same && method !== "GET" && method !== "HEAD") {
      this.init = { ...this.init, method };
      if (this.request) this.input = new native.Request(address, this.input);
      else this.input = address;
      return;
    }
    this.init = { ...init, method: method || "GET", headers: init.headers ?? (this.request ? this.input.headers : undefined) };
    this.input = address;
    this.request = false;
  }

  async freeze() {
    const form = await frozen(this.init.body);
    if (!form) return false;
    this.init.body = form.body;
    this.init.headers = new native.Headers(this.init.headers);
    this.init.headers.set("Content-Type", form.type);
    return true;
  }
}

const addressed = (input) => (input instanceof native.Request ? input.url : String(input));

const fetched = async (self, call) => {
  let response = await apply(native.fetch, self, call.first);
  for (let tries = 0; ; tries++) {
    if (!challenged(response.status, response.url, response.headers.get("WWW-Authenticate"))) return response;
    let challenge = null;
    try {
      challenge = readChallenge(await native.json.call(native.clone.call(response)));
    } catch {
      // broke off, or not ours
    }
    if (!challenge) return response;
    if (response.redirected && call.method !== "GET" && call.method !== "HEAD") call.follow(response.url, challenge.method);
    if (!(challenge.once && (await call.freeze())) && !(await ask(challenge, { signal: call.signal, tries }))) return response;
    response = await apply(native.fetch, self, call.again());
  }
};

replace(globalThis, "fetch", (target, self, args) => {
  let call = null;
  try {
    if (args.length > 0 && ours(addressed(args[0]))) call = new Call(args);
  } catch {
    // what is wrong with it, fetch itself says best
  }
  return call ? fetched(self, call) : apply(target, self, args);
});

// What follows is the same below XMLHttpRequest, so that libraries of every
// age find it there. While a call waits it looks as if it were on its way: its
// events are held back, and it shows nothing of the answer that it has.
const calls = new WeakMap();
const XHR = native.XMLHttpRequest.prototype;
const method = {};
for (const name of ["open", "send", "setRequestHeader", "abort", "getResponseHeader", "overrideMimeType"]) method[name] = XHR[name];
const getter = {};
for (const name of ["readyState", "status", "responseURL", "response", "responseType"]) {
  getter[name] = Object.getOwnPropertyDescriptor(XHR, name).get;
}
const read = (xhr, name) => apply(getter[name], xhr, []);
const fire = (xhr, kind, properties) => {
  const event = properties ? new native.ProgressEvent(kind, properties) : new native.Event(kind);
  native.dispatch.call(xhr, event);
};

const watched = ["readystatechange", "loadstart", "progress", "load", "error", "timeout", "loadend"];
const watch = (event) => {
  const xhr = event.currentTarget;
  const call = calls.get(xhr);
  if (!call || !event.isTrusted || event.target !== xhr) return;
  if (call.opening || call.tries > 0 && event.type === "loadstart") {
    event.stopImmediatePropagation();
    return;
  }
  if (call.phase === "sent" && read(xhr, "readyState") >= 2) {
    const held = challenged(read(xhr, "status"), read(xhr, "responseURL"), method.getResponseHeader.call(xhr, "WWW-Authenticate"));
    call.phase = held ? "held" : "done";
  }
  if (call.phase !== "held") return;
  event.stopImmediatePropagation();
  if (event.type === "loadend") hold(xhr, call);
};

const bodyOf = async (xhr) => {
  const response = read(xhr, "response");
  switch (read(xhr, "responseType")) {
    case "json": return response;
    case "blob": return JSON.parse(await response.text());
    case "arraybuffer": return JSON.parse(new TextDecoder().decode(response));
    case "document": return null;
    default: return JSON.parse(response);
  }
};

// again makes a call once more, on the object that the page has.
const again = (xhr, call) => {
  call.tries++;
  call.opening = true;
  apply(method.open, xhr, [call.method, call.address, true, call.user, call.password]);
  call.opening = false;
  for (const [name, value] of call.headers) method.setRequestHeader.call(xhr, name, value);
  if (call.kind) method.overrideMimeType.call(xhr, call.kind);
  call.phase = "sent";
  apply(method.send, xhr, [kept(call.body)]);
};

const hold = async (xhr, call) => {
  let answer = false;
  const stop = new AbortController();
  call.stop = stop;
  try {
    let body = null;
    try {
      body = await bodyOf(xhr);
    } catch {
      // read as something else
    }
    if (!body) {
      // The page wants a document of what is none: asked once more for
      // ourselves.
      const response = await apply(native.fetch, globalThis, [call.address, { method: call.method, headers: call.headers, body: kept(call.body) }]);
      body = await native.json.call(response);
    }
    const challenge = readChallenge(body);
    if (challenge && resolved(call.address)?.href !== resolved(read(xhr, "responseURL"))?.href && !/^(GET|HEAD)$/i.test(call.method)) {
      // Led elsewhere: what it has done on the way is not done twice.
      call.address = read(xhr, "responseURL");
      if (challenge.method.toUpperCase() !== call.method.toUpperCase()) [call.method, call.body] = [challenge.method || "GET", null];
    }
    if (challenge?.once && call.body instanceof native.FormData) {
      const form = await frozen(call.body);
      call.body = form.body;
      call.headers.push(["Content-Type", form.type]);
      answer = true;
    } else if (challenge) {
      answer = await ask(challenge, { signal: stop.signal, tries: call.tries });
    }
  } catch {
    // aborted, or nothing to go on with: the page gets what came
  }
  if (calls.get(xhr) !== call || call.phase !== "held") return;
  if (answer) return again(xhr, call);
  call.phase = "done";
  fire(xhr, "readystatechange");
  for (const kind of ["load", "loadend"]) fire(xhr, kind, {});
};

attend("XMLHttpRequest", (xhr) => {
  for (const kind of watched) on(xhr, kind, watch, true);
});

const dropped = (xhr) => {
  const call = calls.get(xhr);
  if (call?.phase === "held") {
    call.phase = "done";
    call.stop?.abort();
    return true;
  }
  return false;
};

replace(XHR, "open", (target, self, args) => {
  dropped(self);
  const result = apply(target, self, args);
  const [verb, address, async = true, user, password] = args;
  calls.set(self, { method: String(verb), address: resolved(address)?.href, async: Boolean(async), user, password, headers: [], tries: 0, phase: "open" });
  return result;
});
replace(XHR, "setRequestHeader", (target, self, args) => {
  const result = apply(target, self, args);
  calls.get(self)?.headers.push([String(args[0]), String(args[1])]);
  return result;
});
replace(XHR, "overrideMimeType", (target, self, args) => {
  const result = apply(target, self, args);
  const call = calls.get(self);
  if (call) call.kind = String(args[0]);
  return result;
});
replace(XHR, "send", (target, self, args) => {
  const call = calls.get(self);
  if (!call || call.phase !== "open" || !call.address || !ours(call.address)) return apply(target, self, args);
  call.body = kept(args[0]);
  if (call.async) call.phase = "sent";
  const result = apply(target, self, args);
  if (!call.async && challenged(read(self, "status"), read(self, "responseURL"), method.getResponseHeader.call(self, "WWW-Authenticate"))) {
    // The page stands still until it has its answer, so that it gets this
    // one. The person can do the same again afterwards.
    let challenge = null;
    try {
      challenge = readChallenge(JSON.parse(read(self, "response")));
    } catch {
      // read as something else
    }
    if (challenge) ask(challenge, { advice: true });
  }
  return result;
});
replace(XHR, "abort", (target, self, args) => {
  const held = dropped(self);
  const result = apply(target, self, args);
  if (held) {
    const call = calls.get(self);
    call.phase = "aborted";
    fire(self, "readystatechange");
    call.phase = "done";
    for (const kind of ["abort", "loadend"]) fire(self, kind, {});
  }
  return result;
});

// What a waiting call shows.
const unanswered = {
  readyState: 1, status: 0, statusText: "", responseURL: "", responseXML: null,
  response: (xhr) => (/^(text)?$/.test(read(xhr, "responseType")) ? "" : null), responseText: "",
};
for (const [name, shown] of Object.entries(unanswered)) {
  const was = Object.getOwnPropertyDescriptor(XHR, name);
  Object.defineProperty(XHR, name, {
    ...was,
    get: new Proxy(was.get, {
      apply: (target, self, args) => {
        const phase = calls.get(self)?.phase;
        if (phase === "held") return typeof shown === "function" ? shown(self) : shown;
        if (phase === "aborted" && name === "readyState") return 4;
        return apply(target, self, args);
      },
    }),
  });
}
for (const [name, shown] of [["getResponseHeader", null], ["getAllResponseHeaders", ""]]) {
  replace(XHR, name, (target, self, args) => (calls.get(self)?.phase === "held" ? shown : apply(target, self, args)));
}
