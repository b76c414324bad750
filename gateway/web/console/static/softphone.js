// The softphone's page: joins the telephone and the conversation to what is seen.

import { Conversation, clock } from "./conversation.js";
import { Phone } from "./phone.js";

const at = (id) => document.getElementById(id);
const phone = new Phone();
const conversation = new Conversation(at("conversation"), (tool, approved) => phone.decide(tool, approved));
let began = 0;
let muted = false;

phone.addEventListener("state", ({ detail: { state, why } }) => {
  const idle = state === "idle";
  document.body.dataset.call = state;
  at("status").textContent = why || { idle: "Call ended", calling: "Calling …", talking: "Connected" }[state];
  at("status").classList.toggle("bad", Boolean(why));
  at("call").textContent = idle ? "Call" : "Hang up";
  at("call").classList.toggle("hang-up", !idle);
  at("line").disabled = !idle;
  at("mute").disabled = state !== "talking";
  for (const key of document.querySelectorAll(".key")) key.disabled = state !== "talking";
  if (state === "talking") began = performance.now();
  if (idle) {
    began = 0;
    for (const who of ["caller", "agent"]) level(who, 0);
  }
});

phone.addEventListener("level", ({ detail }) => level(detail.who, detail.level));
phone.addEventListener("deaf", ({ detail }) => hint(detail.why));
phone.addEventListener("stale", ({ detail: { since } }) => {
  at("stale").hidden = since === null;
  if (since) at("stale").textContent = `No news since ${since.toLocaleTimeString()}; trying again.`;
});

phone.addEventListener("news", ({ detail: { kind, data } }) => {
  if (kind === "call") {
    at("agent").textContent = data.agent;
    at("agent").hidden = !data.agent;
  } else {
    conversation.take(kind, data);
    at("barge-ins").textContent = conversation.bargeIns;
  }
  if (kind === "plan") for (const verb of data.verbs) if (verb.verb === "say") phone.speak(verb.text, verb.language);
  if (kind === "turn") latency();
});

at("call").addEventListener("click", () => {
  if (phone.state !== "idle") return phone.hangUp();
  conversation.clear();
  at("empty").hidden = true;
  hint("");
  muted = false;
  showMuted();
  for (const figure of ["answer", "barge-ins"]) at(figure).textContent = "–";
  phone.call(at("line").value);
});

at("mute").addEventListener("click", () => {
  muted = !muted;
  phone.mute(muted);
  showMuted();
});

for (const key of document.querySelectorAll(".key")) key.addEventListener("click", () => phone.press(key.value));

document.addEventListener("keydown", (event) => {
  if (event.target.closest("select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = document.querySelector(`.key[value="${CSS.escape(event.key)}"]`);
  if (key && !key.disabled) key.click();
});

at("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});

const narrow = matchMedia("(max-width: 47.99rem)");
const fold = () => (at("keys").open = !narrow.matches);
narrow.addEventListener("change", fold);
fold();

setInterval(() => {
  if (began) at("timer").textContent = clock((performance.now() - began) / 1000);
}, 250);

function level(who, value) {
  // -50 dB is where a meter begins, 0 dB where it is full.
  const part = value > 0 ? Math.max(0, Math.min(1, 1 + (20 * Math.log10(value)) / 50)) : 0;
  const meter = at(`${who}-level`);
  meter.style.setProperty("--level", part.toFixed(3));
  if (who === "agent") meter.dataset.voiced = Math.round(phone.voiced);
}

function latency() {
  const sorted = conversation.latencies.sort((one, other) => one - other);
  if (sorted.length) at("answer").textContent = `${sorted[sorted.length >> 1].toFixed(2)} s`;
}

function hint(text) {
  at("hint").textContent = text;
  at("hint").hidden = !text;
}

function showMuted() {
  at("mute").setAttribute("aria-pressed", String(muted));
  at("mute").textContent = muted ? "Unmute" : "Mute";
}
