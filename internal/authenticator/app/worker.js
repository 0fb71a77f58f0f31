// Keeps the app for when there is no network, and says that something waits.
// VERSION and FILES come first, from who serves this.
const CACHE = `app ${VERSION}`;

addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES.map((name) => new Request(name, { cache: "no-cache" })));
    await skipWaiting();
  })());
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    await clients.claim();
  })());
});

// Whole versions only: a file of the app comes from the version that was kept,
// and what is not the app's goes to the network.
addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== location.origin || pathname.startsWith("/api/") || !FILES.includes(pathname)) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    return (await cache.match(pathname)) ?? fetch(event.request);
  })());
});

const WAITS = {
  en: "Something waits for your approval",
  cy: "Mae rhywbeth yn aros am eich cymeradwyaeth",
};

addEventListener("push", (event) => {
  const lang = navigator.language.split("-")[0];
  event.waitUntil(registration.showNotification(WAITS[lang] ?? WAITS.en, { tag: "waits", icon: "/icon-192.png", requireInteraction: true }));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const [open] = await clients.matchAll({ type: "window", includeUncontrolled: true });
    return open ? open.focus() : clients.openWindow("/");
  })());
});
