
// What stands behind the # of the address that somebody came for is kept by
// the browser alone, and redirects carry it along, to the app's own login page
// as well. There its form carries it on, unless it leads to a place of its own.
const carryPlace = ({ target: form, submitter }) => {
  const by = submitter?.hasAttribute("formaction") ? [submitter, "formaction"] : [form, "action"];
  const { getAttribute, setAttribute } = Element.prototype;
  const verb = submitter?.getAttribute("formmethod") ?? apply(getAttribute, form, ["method"]);
  const to = resolved(apply(getAttribute, by[0], [by[1]]) ?? "");
  if (!/^post$/i.test(verb ?? "") || to?.origin !== origin || to.hash) return;
  to.hash = place.hash;
  apply(setAttribute, by[0], [by[1], to.href]);
};
if (own?.hasAttribute("data-login") && place.hash.length > 1) on(globalThis, "submit", carryPlace, true);
