// Asks the browser for a key and posts what it says by the page's own form.
// The options are in the form; nothing is fetched. Without this script the
// button stays hidden, and the page says what else there is.
(() => {
  "use strict";

  const form = document.querySelector("form[data-key]");
  if (!form) return;
  const { kind, publicKey } = JSON.parse(form.dataset.key);
  const start = form.querySelector("[data-key-start]");
  const answer = form.querySelector("input[name=credential]");
  const waiting = form.querySelector("[data-key-waiting]");
  const errors = form.querySelectorAll("[data-error]");
  const autofill = "keyAutofill" in form.dataset;
  const able = "credentials" in navigator && typeof PublicKeyCredential === "function";

  const say = (name) => {
    waiting.hidden = name !== "waiting";
    const known = [...errors].some((e) => e.dataset.error === name);
    errors.forEach((e) => {
      e.hidden = !name || name === "waiting" || e.dataset.error !== (known ? name : "other");
    });
  };

  // base64url both ways, for browsers that read and write no JSON themselves.
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => {
    if (!buffer) return undefined;
    return btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const named = (list) => (list ?? []).map((c) => ({ ...c, id: bytes(c.id) }));

  const options = () => {
    const read = kind === "create" ? PublicKeyCredential.parseCreationOptionsFromJSON : PublicKeyCredential.parseRequestOptionsFromJSON;
    if (read) return read.call(PublicKeyCredential, publicKey);
    const own = { ...publicKey, challenge: bytes(publicKey.challenge) };
    if (kind === "create") {
      own.user = { ...publicKey.user, id: bytes(publicKey.user.id) };
      own.excludeCredentials = named(publicKey.excludeCredentials);
    } else {
      own.allowCredentials = named(publicKey.allowCredentials);
    }
    return own;
  };

  const written = (credential) => {
    if (credential.toJSON) return credential.toJSON();
    const { response } = credential;
    const fields = { clientDataJSON: text(response.clientDataJSON) };
    if (kind === "create") {
      fields.attestationObject = text(response.attestationObject);
      fields.transports = response.getTransports?.() ?? [];
    } else {
      fields.authenticatorData = text(response.authenticatorData);
      fields.signature = text(response.signature);
      fields.userHandle = text(response.userHandle);
    }
    return {
      id: credential.id, rawId: text(credential.rawId), type: credential.type, response: fields,
      clientExtensionResults: credential.getClientExtensionResults(),
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    };
  };

  // One question at a time: a second one ends the first. Once a key has
  // answered, none: it would make another passkey in the place of the one that
  // is on its way.
  let asking;
  let answered = false;
  const ask = async (extra) => {
    asking?.abort();
    const own = asking = new AbortController();
    const request = { publicKey: options(), signal: own.signal, ...extra };
    const credential = await (kind === "create" ? navigator.credentials.create(request) : navigator.credentials.get(request));
    answer.value = JSON.stringify(written(credential));
    answered = true;
    form.requestSubmit();
  };

  const run = async () => {
    if (answered) return;
    say("waiting");
    try {
      await ask();
    } catch (error) {
      if (error.name !== "AbortError") say(error.name);
    }
  };

  if (!able) {
    if (!autofill) say("unsupported"); // the sign-in page has its fields
    return;
  }
  start.hidden = false;
  start.addEventListener("click", run);
  // Enter in the name's field means the button.
  form.addEventListener("submit", (event) => {
    if (answered) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  });

  addEventListener("pageshow", (event) => {
    if (event.persisted) answered = false; // back from a later page: that answer was used
  });

  if (autofill) {
    PublicKeyCredential.isConditionalMediationAvailable?.().then((available) => {
      if (available && !asking) return ask({ mediation: "conditional" });
    }).catch(() => {
      // Nobody asked for it yet: the button says what is wrong.
    });
  }
})();
