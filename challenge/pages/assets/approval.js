// Lets a page that waits for a phone go on by itself. The gateway sends one word
// once the phone has answered; where events do not come through, it is asked
// every few seconds.
(() => {
  "use strict";

  const form = document.querySelector("form[data-wait]");
  if (!form) return;
  const { wait, again } = form.dataset;
  const pairing = again.includes("/enrol/");

  const goOn = (progress) => {
    if (progress === "waiting") return false;
    // A pairing is shown first: whose phone it is, only the person knows.
    if (progress === "ready" && !pairing) form.requestSubmit(form.querySelector("button"));
    else location.replace(again);
    return true;
  };

  const poll = async () => {
    try {
      const answer = await fetch(wait, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.ok ? goOn((await answer.json()).progress) : answer.status === 404 && goOn("over")) return;
    } catch {
      // no network for the moment
    }
    setTimeout(poll, 3000);
  };

  if (!globalThis.EventSource) return poll();
  const events = new EventSource(wait);
  events.onmessage = ({ data }) => {
    events.close();
    goOn(data);
  };
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) poll();
  };
})();
