// Draws the charts in the colours of the theme, switches the theme, sorts and filters the summary, copies commands.
(function () {
  "use strict";
  var root = document.documentElement;
  var system = matchMedia("(prefers-color-scheme: dark)");

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }

  // Figures name colours as var(--name); a probe element resolves light-dark() as the style sheet does.
  var probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  function coloured(value, seen) {
    if (typeof value === "string") {
      if (value.slice(0, 6) !== "var(--") return value;
      if (!(value in seen)) {
        probe.style.color = value;
        seen[value] = getComputedStyle(probe).color;
      }
      return seen[value];
    }
    if (Array.isArray(value)) return value.map(function (item) { return coloured(item, seen); });
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (key) { copy[key] = coloured(value[key], seen); });
      return copy;
    }
    return value;
  }

  var charts = Array.from(document.querySelectorAll(".chart"), function (holder) {
    return { holder: holder, figure: JSON.parse(holder.parentNode.querySelector("script").textContent) };
  });
  // One chart at a time between other work, so that a page of many models answers while it draws.
  var turn = 0;
  function draw(atOnce) {
    if (!window.Plotly) return;
    var seen = {}, next = 0, mine = ++turn;
    function one() {
      var chart = charts[next++], figure = coloured(chart.figure, seen);
      Plotly.react(chart.holder, figure.data, figure.layout, { displayModeBar: false, responsive: true });
      chart.holder.dataset.drawn = isDark() ? "dark" : "light";
    }
    function step() {
      if (mine !== turn || next >= charts.length) return;
      one();
      setTimeout(step);
    }
    if (atOnce) while (next < charts.length) one(); else step();
  }

  var toggle = document.getElementById("theme");
  function name() {
    toggle.setAttribute("aria-pressed", String(isDark()));
  }
  toggle.hidden = false;
  toggle.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("zooport-theme", root.dataset.theme); } catch (error) { /* see theme.js */ }
    name();
    draw();
  });
  system.addEventListener("change", function () { name(); draw(); });
  // Paper is white whatever the screen is.
  var before = null;
  addEventListener("beforeprint", function () { before = root.dataset.theme || ""; root.dataset.theme = "light"; draw(true); });
  addEventListener("afterprint", function () {
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    draw();
  });

  var table = document.getElementById("summary-table");
  var rows = table ? Array.from(table.tBodies[0].rows) : [];
  var order = rows.slice();
  function key(row, column) {
    var cell = row.querySelector('[data-key="' + column + '"]');
    var value = cell ? cell.dataset.value : "";
    return value === "" || value === undefined ? null : isNaN(value) ? value.toLowerCase() : Number(value);
  }
  function sort(head, button) {
    var direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    table.querySelectorAll("[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", direction);
    var sign = direction === "ascending" ? 1 : -1;
    order.sort(function (a, b) {
      var x = key(a, head.dataset.sort), y = key(b, head.dataset.sort);
      // Rows without the figure stay below, whichever way the others run.
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
    table.tBodies[0].append.apply(table.tBodies[0], order);
    button.focus();
  }
  if (rows.length > 1) {
    table.querySelectorAll("[data-sort]").forEach(function (head) {
      var button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      button.addEventListener("click", function () { sort(head, button); });
    });
  }
  var search = document.getElementById("filter");
  if (search) {
    search.parentNode.hidden = false;
    search.addEventListener("input", function () {
      var wanted = search.value.trim().toLowerCase();
      rows.forEach(function (row) { row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0; });
    });
  }

  document.querySelectorAll(".copy").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = button.parentNode.querySelector("code");
      // Selected as well: where the clipboard is refused, the usual keys copy it.
      getSelection().selectAllChildren(text);
      if (!navigator.clipboard) return;
      navigator.clipboard.writeText(text.textContent).then(
        function () { button.textContent = "Copied"; },
        function () { button.textContent = "Selected"; }
      );
    });
  });

  name();
  draw();
})();
