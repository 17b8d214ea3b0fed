// What stands on the page, in this order; the parts are in the files that come before this one.

// On a phone the photos come before the long tables.
function arrange(phone) {
  if (phone.matches) byId("summary").after(byId("gallery"));
  else document.querySelector("main").append(byId("gallery"));
  document.querySelector("nav").replaceChildren(
    ...[...document.querySelectorAll("main section")].map((element) =>
      make("a", { href: "#" + element.id }, element.querySelector("h2").textContent)));
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
const phone = matchMedia("(max-width: 480px)");
phone.addEventListener("change", arrange);
arrange(phone);
addEventListener("resize", reachScrolls);
reachScrolls();
