// The sections on what was found by species, by hour and by location.

function species() {
  const report = data.report;
  const header = ["species", "photos" + PREDICTED, ...report ? ["photos (true)"] : [],
    "most in one photo" + PREDICTED, "bursts" + PREDICTED, "locations" + PREDICTED,
    "animals, at least" + PREDICTED];
  const truth = (row) => report ? [report.presence[data.kinds[row.index].name]?.photos ?? ""] : [];
  const rows = data.species.filter((row) => row.photos || truth(row)[0]).map((row) =>
    [named(row.index), whole(row.photos), ...truth(row), row.most, whole(row.sequences),
      whole(row.locations), row.count]);
  section("counts", "Species", "Photos and the most in one are what single photos say; the rest is " +
    "what the photos of a burst tell together" + (data.minConfidence
    ? "; an animal counts from a confidence of " + exact(data.minConfidence) + " on" : "") +
    ". Unknown: surely there, but not surely any of the species.", table(header, rows));
}

// The first of 1, 2, 4, 10, 20, 40 ... that is not below a number: its half is whole, too.
function scaleFor(most) {
  for (let ten = 1; ; ten *= 10) {
    for (const step of [1, 2, 4]) if (step * ten >= most) return step * ten;
  }
}

function activity() {
  const shown = data.species.filter((row) => row.hours.some((count) => count));
  if (!shown.length) return;
  const top = scaleFor(Math.max(...shown.flatMap((row) => row.hours)));
  const [width, height, left, high, foot] = [340, 136, 40, 90, 112];
  const x = (hour) => left + hour * 12;
  const y = (count) => foot - high * count / top;
  const charts = shown.map((row) => {
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "aria-label": "Photos of " + data.kinds[row.index].name + " by hour of the day: " +
        row.hours.map((count, hour) => [count, hour]).filter(([count]) => count)
          .map(([count, hour]) => hour + " h " + count).join(", ") });
    data.nightHours.forEach((share, hour) => {
      if (share) svg.append(draw("rect", { class: "night", x: x(hour), y: foot - high, width: 12,
        height: high, "fill-opacity": 0.22 * share }));
    });
    for (const count of top > 1 ? [0, top / 2, top] : [0, top]) {
      svg.append(draw("line", { class: "axis", x1: left, x2: x(24), y1: y(count), y2: y(count) }),
        draw("text", { x: left - 5, y: y(count) + 4, "text-anchor": "end" }, whole(count)));
    }
    row.hours.forEach((count, hour) => {
      if (!count) return;
      const bar = draw("rect", { class: "bar", x: x(hour) + 1, y: y(count), width: 10,
        height: high * count / top }, draw("title", {}, hour + " h: " + count));
      bar.style.fill = data.kinds[row.index].colour;
      svg.append(bar);
    });
    for (const hour of [0, 6, 12, 18, 24]) {
      svg.append(draw("text", { x: x(hour), y: foot + 15, "text-anchor": "middle" }, String(hour)));
    }
    svg.append(draw("text", { x: 0, y: 12 }, "photos" + PREDICTED));
    return make("div", {}, make("h3", {}, named(row.index)), svg);
  });
  section("activity", "Activity by hour", "Single photos by the hour of the camera's clock, all " +
    "species on one scale." + (data.nightHours.some((share) => share) ? " Shaded: hours in which the " +
    "photos, of whatever, are night pictures; paler where some are." : ""),
    make("div", { class: "side" }, ...charts));
}

function cameras() {
  const scored = data.report !== null;
  const header = ["location", "photos", "with animals" + PREDICTED,
    ...scored ? ["with animals (true)"] : [], "empty" + PREDICTED, "could not be read"];
  if (scored) header.push("mean IoU", "foreground IoU", "missed", "false alarms");
  const rows = data.locations.map((row) => {
    const cells = [row.name, whole(row.photos), whole(row.animals),
      ...scored ? [whole(row.truth)] : [], whole(row.empty), whole(row.failures)];
    if (scored) {
      cells.push(number(row.mean_iou), number(row.foreground_iou), row.missed, row.false_alarms);
    }
    return cells;
  });
  section("cameras", "Locations", scored ? "The worst first. Missed and false alarms: photos." :
    null, table(header, rows));
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
