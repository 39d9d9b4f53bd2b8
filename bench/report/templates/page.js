// What makes the page handier. Without it everything is there, merely not sortable.
"use strict";

function numberIn(text) {
  const found = text.replace(/[−–]/g, "-").replace(/,/g, "").match(/-?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : NaN;
}

// A header sorts one way, the other way, and back to the order of the plan. Numbers begin with the
// largest; whoever has none comes last in either direction.
function makeSortable(table) {
  const body = table.tBodies[0];
  const planned = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    if (header.hasAttribute("data-unsorted")) return;
    const numeric = header.classList.contains("number");
    const orders = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = orders[orders.indexOf(header.getAttribute("aria-sort")) + 1];
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) header.setAttribute("aria-sort", next);
      body.append(...(next ? sorted(planned, column, numeric, next) : planned));
    });
  });
}

function sorted(rows, column, numeric, order) {
  const sign = order === "ascending" ? 1 : -1;
  const text = (row) => row.cells[column].textContent.trim();
  if (!numeric) {
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    return [...rows].sort((a, b) => sign * compare(text(a), text(b)));
  }
  const keyed = rows.map((row) => ({ row, value: /\d/.test(text(row)) ? numberIn(text(row)) : NaN }));
  keyed.sort((a, b) => Number.isNaN(a.value) - Number.isNaN(b.value) || sign * (a.value - b.value) || 0);
  return keyed.map((each) => each.row);
}

// One choice for all pictures: so a glance goes from truth to prediction and back in one place.
function makeComparable(form) {
  const section = form.closest("section");
  const scenes = [...section.querySelectorAll(".scene")].map((scene) => {
    const own = (kind) => [...scene.querySelectorAll(`.shot[data-kind=${kind}]`)];
    return { image: own("image")[0], truth: own("truth")[0], predictions: own("prediction") };
  });
  for (const { image, truth, predictions } of scenes) {
    for (const shot of [truth, ...predictions]) {
      const over = shot.querySelector("img");
      const stack = document.createElement("div");
      const under = image.querySelector("img").cloneNode();
      stack.className = "stack";
      under.className = "under";
      under.alt = "";
      over.before(stack);
      stack.append(under, over);
    }
  }
  const show = () => {
    const look = form.elements.look.value;
    section.dataset.look = look;
    section.style.setProperty("--mix", form.elements.mix.value / 100);
    for (const { image, truth, predictions } of scenes) {
      for (const shot of predictions) {
        const over = shot.querySelector("img:not(.under)");
        const kept = (over.kept ??= { src: over.src, alt: over.alt });
        const source = { image, truth }[look];
        const from = source ? source.querySelector("img:not(.under)") : kept;
        over.src = from.src;
        over.alt = from.alt;
      }
    }
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
  return () => {
    form.reset();
    show();
  };
}

function makeCopyable(button) {
  const code = button.parentElement.querySelector("code");
  const say = (words) => {
    button.textContent = words;
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  button.hidden = false;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      say("Copied");
    } catch {
      getSelection().selectAllChildren(code);
      say("Selected");
    }
  });
}

// Only what can be scrolled is worth a stop of the tabulator key.
function markScrollable() {
  for (const box of document.querySelectorAll(".scroll, pre")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    markRest(box);
  }
}

// A shadow at the right edge tells that there is more.
function markRest(box) {
  box.classList.toggle("more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
}

document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
document.querySelectorAll(".copy").forEach(makeCopyable);
const restore = [...document.querySelectorAll("form.looks")].map(makeComparable);
document.querySelectorAll("details").forEach((each) => each.addEventListener("toggle", markScrollable));
document.querySelectorAll(".scroll").forEach((box) => box.addEventListener("scroll", () => markRest(box)));
addEventListener("resize", markScrollable);
markScrollable();

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach((each) => (each.open = true));
  restore.forEach((each) => each());
});
addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
