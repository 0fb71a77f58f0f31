// Has the challenge come back to the page whose frame this is, which is not
// what the frame was to show.
(() => {
  "use strict";

  document.querySelectorAll("a[data-stepgate=door]").forEach((door) => {
    try {
      const { pathname, search, hash } = top.location;
      const to = new URL(door.href);
      to.searchParams.set("back", pathname + search + hash);
      door.href = to;
    } catch {
      // the page around is of another origin
    }
  });
})();
