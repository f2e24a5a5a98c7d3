// The page works without this: it only says when the server cannot be reached.
"use strict";
for (const event of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(event, () => {
    document.getElementById("status").textContent = "The server cannot be reached. Is it still running?";
  });
}
