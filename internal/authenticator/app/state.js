// What the parts of the app share while it is open: the vault once it is
// unlocked, and the ways from one part to another, which app.js fills in.
export const app = { vault: null, open: () => {}, wiped: () => {}, pinWrong: () => {} };
