// Keeps the parts of the page that change fresh. Without it the page is the same, as of the moment it was asked for.
"use strict";

const PAUSE = 3000;
const parts = [...document.querySelectorAll("[data-source]")];
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
  const selecting = selection && !selection.isCollapsed && parts.some((part) => part.contains(selection.anchorNode));
  const pressing = parts.some((part) => part.querySelector(":active") !== null);
  return held || document.hidden || selecting || pressing;
}

async function refresh() {
  clearTimeout(wanted);
  try {
    for (const part of parts) {
      const answer = await fetch(part.dataset.source, { cache: "no-store", redirect: "error" });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      show(part, await answer.text());
    }
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

function show(part, html) {
  const known = new Set([...part.querySelectorAll(".rows > li")].map(identity));
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && selector(focused);
  part.innerHTML = html;
  for (const row of part.querySelectorAll(".rows > li")) row.classList.toggle("fresh", !known.has(identity(row)));
  if (again) part.querySelector(again)?.focus({ preventScroll: true });
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
