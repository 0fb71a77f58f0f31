// Tells the page that this small window was opened for that it is done. That
// page asks the gateway whether it is so, and then lets the window close.
(() => {
  "use strict";

  try {
    const channel = new BroadcastChannel("stepgate");
    channel.onmessage = ({ data }) => {
      if (data === "close") close();
    };
    channel.postMessage("met");
  } catch {
    // no such thing here: the page asks by itself from time to time
  }
})();
