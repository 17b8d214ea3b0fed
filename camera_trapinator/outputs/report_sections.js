// The sections above the photos: what the model found, how right it is, where and when.

function summary() {
  document.title = data.title;
  byId("title").textContent = data.title;
  byId("subtitle").textContent = data.subtitle;
  const report = data.report;
  const cards = [[whole(data.counts.photos), "photos"],
    [whole(data.counts.animals), "with animals" + PREDICTED],
    ...report ? [[whole(data.counts.truth), "with animals (true)"]] : [],
    [whole(data.counts.empty), "empty" + PREDICTED],
    [whole(data.counts.failures), "could not be read"]];
  if (report) {
    cards.push([number(report.mean_iou), "mean IoU of the species"],
      [number(report.foreground_iou), "foreground IoU"]);
  }
  const place = byId("summary");
  if (data.note) place.append(make("p", { class: "warning" }, data.note));
  place.append(...data.known.map((sentence) => make("p", { class: "known" }, sentence)));
  place.append(make("div", { class: "cards" }, ...cards.map(([value, what]) =>
    make("div", { class: "card" }, make("b", {}, value), make("span", {}, what)))));
}

function classes(report) {
  const rows = data.kinds.slice(0, data.classes).map((item, index) => {
    const row = report.classes[item.name];
    const there = report.presence[item.name];
    return [named(index), number(row.iou), number(row.dice), number(row.precision),
      number(row.recall), there ? there.photos : "", there ? there.true_positive : "",
      there ? there.false_positive : ""];
  });
  section("classes", "Classes", "Of all pixels of the test photos; n/a: not in them.",
    table(["class", "IoU", "Dice", "precision", "recall", "photos (true)", "of them found",
      "false alarms (photos)"], rows));
}

function confusion(report) {
  const header = ["truth \u2193  predicted \u2192",
    ...data.kinds.slice(0, data.classes).map((item) => item.name)];
  const element = table(header, report.confusion.map((row, index) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return [named(index), ...row.map((count) => {
      const cell = make("span", {}, total ? percent(count / total) : "n/a");
      if (total) cell.dataset.share = count / total;
      return cell;
    })];
  }));
  for (const cell of element.querySelectorAll("[data-share]")) {
    cell.parentElement.className = "cell";
    cell.parentElement.style.background =
      "rgba(var(--heat), " + 0.6 * Math.sqrt(cell.dataset.share) + ")";
  }
  section("confusion", "Confusion", "Where the pixels of each true class went.", element);
}

function groups(report) {
  const rows = (group) => Object.entries(group).map(([name, row]) =>
    [name, whole(row.images), number(row.mean_iou), number(row.foreground_iou)]);
  const header = (what) => [what, "photos", "mean IoU", "foreground IoU"];
  const sizes = Object.entries(report.by_size).map(([name, row]) =>
    [name, whole(row.images), percent(row.found_share), percent(row.recall),
      number(row.foreground_iou)]);
  section("groups", "Where it holds", null, make("div", { class: "side" },
    make("div", {}, make("h3", {}, "Locations seen in training"), table(header("trained on?"), rows(report.locations))),
    make("div", {}, make("h3", {}, "Day and night"), table(header("light"), rows(report.light))),
    make("div", {}, make("h3", {}, "Size of the animals"),
      table(["share of the photo", "photos", "found", "pixels found", "foreground IoU"], sizes))));
}

function emptyPhotos(report) {
  const found = report.find_animals;
  if (!found) return;
  const [width, height, left, bottom, top] = [420, 270, 44, 34, 22];
  const x = (recall) => left + recall * (width - left - 10);
  const y = (precision) => top + (1 - precision) * (height - bottom - top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": "Precision by recall of photos with an animal" });
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(draw("line", { class: "axis", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
      draw("line", { class: "axis", x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }),
      draw("text", { x: 4, y: y(tick) + 4 }, String(tick)),
      draw("text", { x: x(tick) - 8, y: height - 18 }, String(tick)));
  }
  svg.append(draw("text", { x: x(0.5) - 20, y: height - 3 }, "recall"),
    draw("text", { x: 4, y: 11 }, "precision"),
    draw("polyline", { class: "curve",
      points: found.curve.map(([recall, precision]) => x(recall) + "," + y(precision)).join(" ") }));
  const rows = Object.entries(found.thresholds).map(([recall, row]) => {
    svg.append(draw("circle", { class: "mark", r: 4, cx: x(row.recall), cy: y(row.precision) }));
    return [percent(Number(recall), 0), exact(row.threshold), percent(row.precision),
      percent(row.look_at)];
  });
  section("empty", "Is this photo empty?",
    "A photo's confidence, that something is there, is the largest smoothed foreground " +
    "probability. From a threshold on, so many of the photos with an animal are found; the rest " +
    "of the photos need no look.",
    make("div", { class: "side" }, make("div", {}, svg),
      make("div", {}, ...validated(found), make("h3", {}, "Thresholds that fit these photos best"),
        table(["animals found", "threshold here", "of them right", "photos to look at"], rows),
        make("p", { class: "hint" }, "Average precision " + number(found.average_precision) +
          ", " + whole(found.with_animals) + " of " + whole(found.images) +
          " photos with animals (true)."))));
}

// What the thresholds that the run chose on its validation photos are worth on these ones.
function validated(found) {
  const thresholds = Object.entries(data.thresholds ?? {});
  if (!thresholds.length) return [];
  const of = (part, all) => whole(part) + " of " + whole(all) +
    (all ? " (" + percent(part / all) + ")" : "");
  const rows = found.validation?.map((row) => [percent(Number(row.recall), 0),
    exact(row.threshold), of(row.found, row.with_animals), of(row.false_alarms, row.empty)]);
  return [make("h3", {}, "Thresholds chosen on the validation photos"), rows
    ? table(["animals to find", "threshold", "photos with animals (true) found",
      "false alarms of empty photos (true)"], rows)
    : table(["animals to find", "threshold"], thresholds.map(([recall, value]) =>
      [percent(Number(recall), 0), exact(value)]))];
}

function reliability(report) {
  const found = report.reliability;
  if (!found) return;
  const [side, left, bottom, top] = [270, 44, 34, 22];
  const x = (sure) => left + sure * (side - left - 10);
  const y = (right) => top + (1 - right) * (side - bottom - top);
  const svg = draw("svg", { viewBox: `0 0 ${side} ${side}`, width: side, height: side, role: "img",
    "aria-label": "Share of right species by class confidence" });
  for (const tick of [0, 0.5, 1]) {
    svg.append(draw("line", { class: "axis", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }),
      draw("line", { class: "axis", x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }),
      draw("text", { x: 14, y: y(tick) + 4 }, String(tick)),
      draw("text", { x: x(tick) - 8, y: side - 18 }, String(tick)));
  }
  svg.append(draw("line", { class: "axis", x1: x(0), x2: x(1), y1: y(0), y2: y(1) }),
    draw("text", { x: x(0.5) - 42, y: side - 3 }, "class confidence"),
    draw("text", { x: 4, y: 11 }, "of them right"));
  for (const bin of found.bins) {
    svg.append(draw("circle", { class: "mark", cx: x(bin.class_confidence), cy: y(bin.right),
      r: 3 + 9 * Math.sqrt(bin.blobs / found.blobs) }, draw("title", {}, bin.blobs + " animals")));
  }
  const rows = found.bins.map((bin) => [bin.from.toFixed(1) + " to " + (bin.from + 0.1).toFixed(1),
    whole(bin.blobs), number(bin.class_confidence), percent(bin.right)]);
  section("reliability", "Is it this species?",
    "The class confidence is how sure the model is that an animal is of the species that it says. " +
    "On the line it is as often right as it says; below, it is too sure.",
    make("div", { class: "side" }, make("div", {}, svg), make("div", {},
      table(["class confidence", "animals", "mean", "of them right"], rows),
      make("p", { class: "hint" }, "Expected calibration error " +
        number(found.expected_calibration_error) + ", " + whole(found.blobs) + " animals, " +
        percent(found.right) + " of the right species."))));
}
