// The sections above the photos: what the model found, how right it is, where and when.

function summary() {
  document.title = data.title;
  byId("title").textContent = data.title;
  byId("subtitle").textContent = data.subtitle;
  const cards = [[whole(data.counts.photos), "photos"], [whole(data.counts.animals), "with animals"],
    [whole(data.counts.empty), "empty"], [whole(data.counts.failures), "could not be read"]];
  const report = data.report;
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
      number(row.recall), there ? there.true_positive + " of " + there.photos : "",
      there ? there.false_positive : ""];
  });
  section("classes", "Classes", "Of all pixels of the test photos; n/a: not in them.",
    table(["class", "IoU", "Dice", "precision", "recall", "found in photos",
      "false alarms in photos"], rows));
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
    make("div", {}, make("h3", {}, "Locations"), table(header("trained on?"), rows(report.locations))),
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
    const validation = data.thresholds ? number(data.thresholds[recall]) : "n/a";
    return [percent(Number(recall), 0), number(row.threshold), percent(row.precision),
      percent(row.look_at), validation];
  });
  section("empty", "Is this photo empty?",
    "A photo's confidence, that something is there, is the largest smoothed foreground " +
    "probability. From the threshold on, so many of the photos with an animal are found; the rest of the photos need no look.",
    make("div", { class: "side" }, make("div", {}, svg), make("div", {},
      table(["animals found", "threshold here", "of them right", "photos to look at",
        "threshold from validation"], rows),
      make("p", { class: "hint" }, "Average precision " + number(found.average_precision) +
        ", " + whole(found.with_animals) + " of " + whole(found.images) + " photos with animals."))));
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

function species() {
  const rows = data.species.filter((row) => row.photos).map((row) =>
    [named(row.index), whole(row.photos), whole(row.sequences), whole(row.locations), row.most]);
  section("counts", "Species", "By the predictions; most: blobs in one photo. Unknown: surely " +
    "there, but not surely any of the species.",
    table(["species", "photos", "sequences", "locations", "most"], rows));
}

function activity() {
  const shown = data.species.filter((row) => row.hours.some((count) => count));
  if (!shown.length) return;
  const charts = shown.map((row) => {
    const most = Math.max(...row.hours);
    const svg = draw("svg", { viewBox: "0 0 300 96", width: 300, height: 96, role: "img",
      "aria-label": "Photos of " + data.kinds[row.index].name + " by hour of the day" });
    row.hours.forEach((count, hour) => {
      const high = 70 * count / most;
      svg.append(draw("rect", { class: "bar", x: 4 + hour * 12, y: 76 - high, width: 10,
        height: high }, draw("title", {}, hour + " h: " + count)));
    });
    for (const hour of [0, 6, 12, 18, 24]) {
      svg.append(draw("text", { x: 2 + hour * 11.8, y: 92 }, String(hour)));
    }
    return make("div", {}, make("h3", {}, named(row.index)), svg);
  });
  section("activity", "Activity by hour", "Photos by the hour of the camera's clock.",
    make("div", { class: "side" }, ...charts));
}

function cameras() {
  const scored = data.report !== null;
  const header = ["location", "photos", "with animals", "empty", "could not be read"];
  if (scored) header.push("mean IoU", "foreground IoU", "missed", "false alarms");
  const rows = data.locations.map((row) => {
    const cells = [row.name, whole(row.photos), whole(row.animals), whole(row.empty),
      whole(row.failures)];
    if (scored) {
      cells.push(number(row.mean_iou), number(row.foreground_iou), row.missed, row.false_alarms);
    }
    return cells;
  });
  section("cameras", "Locations", scored ? "The worst first." : null, table(header, rows));
}

function heats() {
  if (!data.heats.length) return;
  const figures = data.heats.map((heat) => {
    const canvas = make("canvas", { width: heat.width, height: heat.height });
    const context = canvas.getContext("2d");
    heat.shares.forEach((share, index) => {
      context.fillStyle = "rgba(255, 60, 0, " + 0.8 * share / heat.most + ")";
      context.fillRect(index % heat.width, Math.floor(index / heat.width), 1, 1);
    });
    const frame = make("div", { class: "frame" },
      make("img", { src: "data:image/jpeg;base64," + heat.photo, alt: "" }), canvas);
    return make("figure", {}, frame, make("figcaption", {}, heat.location + ": fires in one place in " +
      percent(heat.most, 0) + " of " + whole(heat.photos) + " photos"));
  });
  section("heats", "Always fires here", data.report
    ? "Where empty photos of one camera are marked again and again: a stone, a branch."
    : "Where the photos of one camera are marked again and again: an animal's path, or a stone.",
  make("div", { class: "heats" }, ...figures));
}
