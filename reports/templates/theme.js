// Runs before the first paint, so that a stored choice of theme does not flash.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  try {
    var stored = localStorage.getItem("zooport-theme");
    if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  } catch (error) {
    // Storage may be forbidden for files; the system's theme then stands.
  }
})();
