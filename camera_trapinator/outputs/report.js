// What stands on the page, in this order; the parts are in the files that come before this one.

function navigation() {
  const links = [...document.querySelectorAll("main section")].map((element) =>
    make("a", { href: "#" + element.id }, element.querySelector("h2").textContent));
  document.querySelector("nav").append(...links);
}

summary();
if (data.report) {
  classes(data.report);
  groups(data.report);
  emptyPhotos(data.report);
  reliability(data.report);
  confusion(data.report);
}
species();
activity();
cameras();
heats();
gallery();
navigation();
