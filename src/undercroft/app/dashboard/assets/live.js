// Keeps the part of the page that changes fresh. Without it the page is the same, as of the moment it was asked for.
"use strict";

const PAUSE = 3000;
const live = document.getElementById("live");
const fresh = document.getElementById("fresh");
const hold = document.getElementById("hold");
const identity = (row) => row.querySelector("a.name, button")?.getAttribute("href") ?? "";

let held = false;
let wanted = 0;

hold.hidden = false;
hold.addEventListener("click", () => {
  held = !held;
  hold.setAttribute("aria-pressed", String(held));
  hold.textContent = held ? "Go on" : "Hold still";
  if (!held) refresh();
});
document.getElementById("refresh").addEventListener("click", (event) => {
  event.preventDefault();
  refresh();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});

function isBusy() {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && live.contains(selection.anchorNode);
  const pressing = live.querySelector(":active") !== null;
  return held || document.hidden || selecting || pressing;
}

async function refresh() {
  clearTimeout(wanted);
  try {
    const answer = await fetch(live.dataset.source, { cache: "no-store", redirect: "error" });
    if (answer.status === 401) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.text());
    say(`Fresh every ${PAUSE / 1000} seconds.`, "");
  } catch {
    say("The server can’t be reached; this is what it last said.", "lost");
  }
  wanted = setTimeout(next, PAUSE);
}

function next() {
  if (isBusy()) wanted = setTimeout(next, PAUSE);
  else refresh();
}

function show(html) {
  const known = new Set([...live.querySelectorAll(".rows > li")].map(identity));
  const focused = live.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && selector(focused);
  live.innerHTML = html;
  for (const row of live.querySelectorAll(".rows > li")) row.classList.toggle("fresh", !known.has(identity(row)));
  if (again) live.querySelector(again)?.focus({ preventScroll: true });
}

function selector(element) {
  const [name, value] = element.id ? ["id", element.id] : ["href", element.getAttribute("href")];
  return value === null ? null : `[${name}="${CSS.escape(value)}"]`;
}

function say(words, kind) {
  if (fresh.textContent === words) return;
  fresh.textContent = words;
  fresh.className = kind;
}

wanted = setTimeout(next, PAUSE);
