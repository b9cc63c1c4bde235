(function start(tries) {
  // Front ends may run a script before its output is on the page: look again, frame by frame.
  var root = document.querySelector('[id="@KEY@"]:not([data-ready])');
  if (!root) { if (tries) requestAnimationFrame(function () { start(tries - 1); }); return; }
  root.setAttribute("data-ready", "");
  var find = function (s) { return root.querySelector(s); };
  var data = JSON.parse(find('script[type="application/json"]').textContent);
  var w = data.size[0] / data.q, high = data.size[1], h = high / data.q;
  var paths = root.querySelectorAll(".rf-ink path"), names = root.querySelectorAll(".rf-names text");
  var inputs = root.querySelectorAll("input"), input = inputs[0], picture = find(".rf-picture");
  var values = root.querySelectorAll(".rf-value"), button = find("button"), out = find("output"), timer = null;
  var calm = window.matchMedia && matchMedia("(prefers-reduced-motion: reduce)").matches;

  function draw(layer, i) {
    var f = layer.frames[i], line = layer.kind == "line", pen = false, d = "";
    for (var k = 0; k < f.length; k += 2) {
      if (f[k] === null) { pen = false; continue; }
      d += (pen ? "L" : "M") + (f[k] * w).toFixed(1) + " " + (high - f[k + 1] * h).toFixed(1);
      if (!line) d += "h0";
      pen = line;
    }
    return d;
  }
  function show() {
    var i = +input.value + (inputs[1] ? +inputs[1].value * data.controls[0].values.length : 0);
    data.layers.forEach(function (layer, k) {
      if (layer.frames.length > 1) paths[k].setAttribute("d", draw(layer, i));
    });
    data.names.filter(Boolean).forEach(function (spots, k) {
      names[k].setAttribute("x", (spots[i][0] * w).toFixed(1));
      names[k].setAttribute("y", (high - spots[i][1] * h).toFixed(1));
    });
    if (picture) picture.setAttribute("href", "data:image/png;base64," + data.pictures[i]);
    data.controls.forEach(function (control, k) {
      var value = control.values[+inputs[k].value];
      values[k].textContent = value;
      inputs[k].setAttribute("aria-valuetext", value);
    });
    root.setAttribute("data-frame", input.value);
    out.textContent = data.readout[i];
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    button.setAttribute("aria-pressed", "false");
    out.setAttribute("aria-live", "polite");
    show();
  }
  function play() {
    if (+input.value >= +input.max) input.value = 0;
    button.setAttribute("aria-pressed", "true");
    out.setAttribute("aria-live", "off");  // a screen reader need not hear every frame
    show();
    timer = setInterval(function () {
      if (!root.isConnected || +input.value >= +input.max) { stop(); return; }
      input.value = +input.value + 1;
      show();
    }, calm ? 1500 : 220);
  }
  inputs.forEach(function (one, k) {
    one.value = data.controls[k].start;  // browsers restore old positions on reload
    one.addEventListener("input", function () { if (timer) stop(); show(); });
  });
  root.addEventListener("keydown", function (e) { e.stopPropagation(); });  // not a notebook shortcut
  button.addEventListener("click", function () { if (timer) stop(); else play(); });
  find(".rf-controls").hidden = false;
  show();
})(120);
