// Draws the charts in the colours of the theme, switches the theme, searches, sorts and filters the index, copies commands.
(function () {
  "use strict";
  var root = document.documentElement;
  var system = matchMedia("(prefers-color-scheme: dark)");

  var phrases = JSON.parse(document.getElementById("words").textContent);
  // A drag with a finger scrolls the page; only a mouse zooms into a chart.
  var coarse = matchMedia("(pointer: coarse)").matches;

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
      if (coarse) figure.layout.dragmode = false;
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

  // The index. Texts and keys are read once; of the matches only so many rows are in the document at all, so that a
  // keystroke in a table of thousands styles and lays out fifty.
  var PAGE = 50;
  var table = document.getElementById("summary-table");
  var body = table ? table.tBodies[0] : null;
  var entries = table ? Array.from(body.rows, function (row) {
    var keys = {};
    row.querySelectorAll("[data-key]").forEach(function (cell) {
      var value = cell.dataset.value;
      keys[cell.dataset.key] =
        value === "" || value === undefined ? null : isNaN(value) ? value.toLowerCase() : Number(value);
    });
    // Hover texts too: an error longer than its cell is found by its end.
    var hidden = Array.from(row.querySelectorAll(".notes [title]"), function (note) { return note.title; });
    return { row: row, keys: keys, text: (row.textContent + " " + hidden.join(" ")).toLowerCase(), facts: row.dataset };
  }) : [];
  var order = entries.slice(), limit = PAGE;
  var tools = document.getElementById("tools"), search = document.getElementById("filter");
  var selects = Array.from(document.querySelectorAll("[data-filter]"));
  var more = document.getElementById("more"), counter = document.getElementById("shown");
  function show() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var matching = order.filter(function (entry) {
      return words.every(function (word) { return entry.text.indexOf(word) >= 0; }) &&
        selects.every(function (select) { return !select.value || entry.facts[select.dataset.filter] === select.value; });
    });
    var rows = matching.slice(0, limit).map(function (entry) { return entry.row; });
    if (rows.length !== body.rows.length || rows.some(function (row, place) { return row !== body.rows[place]; })) {
      body.replaceChildren.apply(body, rows);
    }
    more.hidden = matching.length <= limit;
    counter.textContent = phrases.shown.replace("{shown}", matching.length).replace("{n}", entries.length);
  }
  function sort(head, button) {
    var direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    table.querySelectorAll("[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", direction);
    var sign = direction === "ascending" ? 1 : -1, column = head.dataset.sort;
    order.sort(function (a, b) {
      var x = a.keys[column], y = b.keys[column];
      // Rows without the figure stay below, whichever way the others run.
      if (x === null || x === undefined || y === null || y === undefined) return (x == null) - (y == null);
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
    limit = PAGE;
    show();
    button.focus();
  }
  if (tools) {
    table.querySelectorAll("[data-sort]").forEach(function (head) {
      var button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append.apply(button, Array.from(head.childNodes));
      head.append(button);
      button.addEventListener("click", function () { sort(head, button); });
    });
    var restart = function () { limit = PAGE; show(); };
    search.addEventListener("input", restart);
    selects.forEach(function (select) { select.addEventListener("change", restart); });
    tools.addEventListener("submit", function (event) { event.preventDefault(); });
    more.addEventListener("click", function () { limit += PAGE; show(); });
    tools.hidden = entries.length <= 8;
    // Paper has no button for more.
    addEventListener("beforeprint", function () { limit = Infinity; show(); });
    addEventListener("afterprint", restart);
    show();
  }
  root.classList.add("ready");

  document.querySelectorAll(".copy").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = button.parentNode.querySelector("code");
      // Selected as well: where the clipboard is refused, the usual keys copy it.
      getSelection().selectAllChildren(text);
      if (!navigator.clipboard) return;
      navigator.clipboard.writeText(text.textContent).then(
        function () { button.textContent = phrases.copied; },
        function () { button.textContent = phrases.selected; }
      );
    });
  });

  name();
  draw();
})();
