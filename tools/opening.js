(function () {
  var root = document.getElementById("rf-opening");
  var find = function (s) { return root.querySelector(s); };
  var o = JSON.parse(find('script[type="application/json"]').textContent);
  var image = find("image"), base = o.upper + o.gap + o.lower;
  var inputs = ["n", "p", "tau"].map(function (key) { return find("#rf-opening-" + key); });
  var values = root.querySelectorAll(".rf-value"), button = find("button"), out = find("output");
  var shown = find(".rf-shown"), strip = find(".rf-strip"), plot = find(".rf-plot"), timer = null, later = null;
  var calm = window.matchMedia && matchMedia("(prefers-reduced-motion: reduce)").matches;
  var pieces = ["first", "second", "sample", "third"];
  var states = words(o.states), simulations = words(o.simulations);
  var record = states.length / (o.n.length * o.p.length);
  var simulated = simulations.length / (o.n.length * o.simulated);
  var marks = {};
  root.querySelectorAll("[data-m]").forEach(function (e) { marks[e.getAttribute("data-m")] = e; });

  // The stored words of 16 bits, and what they mean.
  function words(text) {
    var bytes = atob(text), found = new Uint16Array(bytes.length / 2);
    for (var k = 0; k < found.length; k++) {
      found[k] = bytes.charCodeAt(2 * k) + 256 * bytes.charCodeAt(2 * k + 1);
    }
    return found;
  }
  function place(word) {  // log10 of a time
    return word == 0 ? NaN : word == o.most ? Infinity : o.low + word / o.most * (o.high - o.low);
  }
  function directions(word) { return Math.pow(10, 5 * word / o.most); }
  function tau(k) { return Math.pow(10, k / o.perDecade); }

  // Where they stand, in units of the drawing.
  function at(place) { return place * o.wide * o.perDecade / (o.taus - 1); }
  function height(count) {
    var share = Math.log(count / o.fewest) / Math.log(o.mostDirections / o.fewest);
    return o.upper * (1 - Math.max(share, -0.05));
  }
  function depth(loss) { return o.upper + o.gap + o.lower * (1 - loss / o.mostLoss); }
  function fix(value) { return value.toFixed(1); }
  function line(points) {
    return points.map(function (xy, k) { return (k ? "L" : "M") + fix(xy[0]) + " " + fix(xy[1]); }).join("");
  }
  function dots(points) {
    return points.map(function (xy) { return "M" + fix(xy[0]) + " " + fix(xy[1]) + "h0"; }).join("");
  }
  function set(name, attributes) {
    for (var key in attributes) marks[name].setAttribute(key, attributes[key]);
  }
  function upright(name, place, low, high) {
    set(name, {d: isFinite(place) ? "M" + fix(at(place)) + " " + fix(low) + "V" + fix(high) : ""});
  }

  function bulks(row) {
    var tops = {};
    pieces.forEach(function (name, m) {
      var from = m * (2 + o.nodes), left = place(row[from]), right = place(row[from + 1]), arch = "";
      if (!isNaN(left)) {
        var points = [[at(left), o.upper]], least = o.upper;
        for (var k = 0; k < o.nodes; k++) {
          var c = Math.cos((k + 0.5) * Math.PI / o.nodes), y = height(directions(row[from + 2 + k]));
          points.push([at(left + (right - left) * (1 - c) / 2), y]);
          least = Math.min(least, y);
        }
        points.push([at(right), o.upper]);
        arch = line(points);
        tops[name] = [at(left + right) / 2, least];
      }
      set(name + "-fill", {d: arch && arch + "Z"});
      set(name + "-edge", {d: arch});
    });
    if (tops.second) {
      tops.first = [(tops.first[0] + tops.second[0]) / 2, Math.min(tops.first[1], tops.second[1])];
    }
    var spots = {};
    [["first", 48], ["sample", 32], ["third", 26]].forEach(function (each) {
      var top = tops[each[0]];
      spots[each[0]] = top ? Math.max(each[1], Math.min(top[0], o.wide - each[1])) : -9999;
    });
    if (tops.third) spots.sample = Math.min(spots.sample, spots.third - 62);  // the two names side by side
    for (var name in spots) {
      set(name + "-name", {x: fix(spots[name]), y: fix(Math.max((tops[name] ? tops[name][1] : 0) - 5, 12))});
    }
  }
  function losses(name, row, k) {
    var ys = Array.prototype.map.call(row, function (word) { return depth(word * o.lossUnit); });
    var ceiling = o.upper + o.gap, last = 0;
    ys.forEach(function (y, m) { if (y >= ceiling + 14) last = m; });
    set(name, {d: line(ys.map(function (y, m) { return [at(m / o.perDecade), y]; }))});
    set(name + "-now", {cx: fix(at(k / o.perDecade)), cy: fix(Math.max(ys[k], ceiling - 9))});
    var under = ys[last] + 17 < base - 4 ? ys[last] + 17 : ys[last] - 8;
    set(name + "-name", {
      x: fix(at(last / o.perDecade) - (last == ys.length - 1 ? 4 : 8)),
      y: fix(name == "test" ? ys[last] - 8 : under)
    });
  }
  function simulation(i, j) {
    var there = j < o.simulated, from = (j * o.n.length + i) * simulated, count = (simulated - o.bins) / 2;
    ["test-dots", "train-dots"].forEach(function (name, m) {
      var spots = [];
      for (var k = 0; there && k < count; k++) {
        var y = depth(simulations[from + m * count + k] * o.lossUnit);
        if (y >= o.upper + o.gap) spots.push([at(k * o.seen / o.perDecade), y]);
      }
      set(name, {d: dots(spots)});
    });
    var spots = [], width = (o.high - o.low) / o.bins;
    for (var k = 0; there && k < o.bins; k++) {
      var word = simulations[from + 2 * count + k], x = at(o.low + (k + 0.5) * width);
      if (word && x >= 0 && x <= o.wide) spots.push([x, height(directions(word))]);
    }
    set("bulk-dots", {d: dots(spots)});
  }
  function ruler(p) {
    var zero = Math.log10(p / o.d / o.delta), ticks = "";
    for (var k = -3; k <= 3; k++) {
      var x = at(zero - k), inside = x >= -1e-9 && x <= o.wide;
      set("power" + k, {x: fix(inside ? x : -9999)});
    }
    for (k = -3; k <= 3; k++) {
      x = at(zero - k);
      if (x >= -1e-9 && x <= o.wide) ticks += "M" + fix(x) + " 0v-5";
    }
    set("ruler", {d: ticks});
  }

  function short(value) {
    var rounded = Number(value.toPrecision(2)), digits = value < 9.95 ? 1 : 0;
    return rounded.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  }
  function whole(value) { return value.toLocaleString("en-US"); }
  function is(name, value) { return name + "\u202f=\u202f" + value; }
  function say(i, j, k, times, test, train) {
    var begin = Math.pow(10, times.begin), end = Math.pow(10, times.end), when, verdict, where;
    if (tau(k) < begin) { when = "early"; verdict = "Too early."; where = "the window opens at " + short(begin); }
    else if (tau(k) > end) { when = "late"; verdict = "Too late."; where = "the window closed at " + short(end); }
    else if (!isFinite(end)) {
      when = "good";
      verdict = "Stop whenever you like.";
      where = "the window opened at " + short(begin) + " and never closes";
    } else {
      when = "good";
      verdict = "Stop here.";
      where = "in the window from " + short(begin) + " to " + short(end);
    }
    out.firstChild.className = "rf-" + when;
    out.firstChild.textContent = verdict;
    out.lastChild.textContent = " " + is("n", whole(o.n[i])) + ", " + is("p", whole(o.p[j])) + ", " +
      is("τ", short(tau(k))) + ": " + where + ". Test loss " + test.toFixed(2) + ", train loss " +
      train.toFixed(2) + "; the best possible is " + o.perfect.toFixed(2) + ".";
  }
  function network(i, k) {
    var n = o.n[i], apart = function (run) { return Math.max(n / run.n, run.n / n); }, which = 0;
    o.runs.forEach(function (run, m) { if (apart(run) < apart(o.runs[which])) which = m; });
    var run = o.runs[which], steps = o.rate * tau(k);
    var look = run.steps.filter(function (step) { return step <= steps; }).length - 1;
    var text = "A and B learnt from " + run.n + " digits each" +
      (run.n == n ? "" : " (the nearest to " + whole(n) + " that was run)") +
      ", none in common; each column starts from one noise. After " + whole(run.steps[look]) + " steps" +
      (look == run.steps.length - 1 ? ", the last, " : " ") + (100 * run.copies[look]).toFixed(0) +
      "\u202f% of A’s pictures are copies; A and B agree to " + run.alike[look].toFixed(2) + " (1: the same).";
    if (shown.textContent != text) shown.textContent = text;
    strip.classList.toggle("rf-elsewhere", run.n != n);
    image.setAttribute("y", -3 * o.cell * (which * run.steps.length + look));
  }

  function show() {
    var i = +inputs[0].value, j = +inputs[1].value, k = +inputs[2].value;
    var row = states.subarray((j * o.n.length + i) * record, (j * o.n.length + i + 1) * record);
    var test = row.subarray(0, o.taus), train = row.subarray(o.taus, 2 * o.taus), rest = row.subarray(2 * o.taus);
    var times = {};
    ["generalize", "memorize", "begin", "end", "best", "atom"].forEach(function (name, m) {
      times[name] = place(rest[m]);
    });
    var begin = at(times.begin), end = at(Math.min(times.end, (o.taus - 1) / o.perDecade));
    bulks(rest.subarray(6));
    losses("test", test, k);
    losses("train", train, k);
    simulation(i, j);
    ruler(o.p[j]);
    set("band", {x: fix(begin), width: fix(end - begin)});
    set("window", {x: fix(Math.max(begin + 2, Math.min((begin + end) / 2, o.wide) - 42))});
    ["generalize", "memorize"].forEach(function (name) {
      upright(name, times[name], o.upper + o.gap, base);
      set(name + "-name", {x: fix(isFinite(times[name]) ? at(times[name]) : -9999)});
    });
    upright("atom", times.atom, 0, o.upper);
    set("now", {d: "M" + fix(at(k / o.perDecade)) + " 0V" + base});
    set("learnt", {x1: fix(at(k / o.perDecade) - at(1)), x2: fix(at(k / o.perDecade) + at(2))});
    say(i, j, k, times, test[k] * o.lossUnit, train[k] * o.lossUnit);
    network(i, k);
    [whole(o.n[i]), whole(o.p[j]), short(tau(k))].forEach(function (value, m) {
      values[m].textContent = value;
      inputs[m].setAttribute("aria-valuetext", value);
    });
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
    button.setAttribute("aria-pressed", "false");
    out.setAttribute("aria-live", "polite");
    shown.setAttribute("aria-live", "polite");
    changed();
  }
  function play() {
    var input = inputs[2], stride = calm ? o.perDecade / 2 : 1;
    if (+input.value >= +input.max) input.value = 0;
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    out.setAttribute("aria-live", "off");  // a screen reader need not hear every state
    shown.setAttribute("aria-live", "off");
    show();
    timer = setInterval(function () {
      if (+input.value >= +input.max) { stop(); return; }
      input.value = Math.min(+input.value + stride, +input.max);
      show();
    }, calm ? 1500 : 110);
  }
  function changed() {  // the address names the state, a moment after it has come to rest
    show();
    clearTimeout(later);
    later = setTimeout(function () {
      var parts = [o.n[+inputs[0].value], o.p[+inputs[1].value], Number(tau(+inputs[2].value).toPrecision(3))];
      try { history.replaceState(null, "", "#n=" + parts[0] + "&p=" + parts[1] + "&tau=" + parts[2]); } catch (e) { }
    }, 500);
  }
  function nearest(list, value) {
    var best = 0;
    list.forEach(function (each, k) {
      if (Math.abs(Math.log(each / value)) < Math.abs(Math.log(list[best] / value))) best = k;
    });
    return best;
  }
  function fromAddress() {
    var found = /^#n=([\d.]+)&p=([\d.]+)&tau=([\d.]+)$/.exec(location.hash);
    if (!found) return false;
    var taus = [];
    for (var k = 0; k < o.taus; k++) taus.push(tau(k));
    [o.n, o.p, taus].forEach(function (list, m) { inputs[m].value = nearest(list, +found[m + 1] || 1); });
    return true;
  }
  function drag(e) {
    if (!(e.buttons & 1)) return;
    var box = plot.getBoundingClientRect(), view = plot.viewBox.baseVal;
    var x = view.x + (e.clientX - box.left) / box.width * view.width;
    if (timer) stop();
    inputs[2].value = Math.round(x / o.wide * (o.taus - 1));
    changed();
  }

  inputs.forEach(function (input, m) {
    input.value = o.start[m];  // browsers restore old positions on reload
    input.addEventListener("input", function () { if (timer) stop(); changed(); });
  });
  button.addEventListener("click", function () { if (timer) stop(); else play(); });
  plot.addEventListener("pointerdown", function (e) { plot.setPointerCapture(e.pointerId); drag(e); });
  plot.addEventListener("pointermove", drag);
  window.addEventListener("hashchange", function () { if (fromAddress()) show(); });
  find(".rf-controls").hidden = false;
  if (fromAddress()) root.scrollIntoView({block: "center"});
  show();
})();
