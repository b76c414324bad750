// The conversation as it goes on: what was said and heard, and what the agents did, in the order of the call's clock.

const ENDS = {
  success: "The call is over",
  caller: "The caller ended the call",
  agent: "The agent failed",
  carrier: "The carrier ended the call",
  model: "The model failed",
  gateway: "The gateway ended the call",
};
const NOT_HERE = " (a browser can't, so the call ends here)";
const CUT_BY = { caller: "Caller cut in", keypad: "Cut by the keypad", time: "Caller cut in" };

// `decide(tool, approved)` is asked when a person clicks.
export class Conversation {
  constructor(list, decide) {
    this.list = list;
    this.decide = decide;
    this.clear();
  }

  clear() {
    this.list.replaceChildren();
    this.rows = new Map();
    this.waits = new Map();
    this.bargeIns = 0;
  }

  take(kind, data) {
    const show = { turn: this.turn, tool: this.tool, handoff: this.handoff, guardrail: this.guardrail, cut: this.cut, plan: this.plan };
    const said = {
      "hang-up": () => (data.by === "agent" ? "The agent wants to hang up" : `Hang-up: ${data.reason}`),
      transfer: () => `Transfer to ${data.target}`,
      key: () => "Key pressed",
      "model-error": () => `The model reported: ${data.code}`,
      "model-lost": () => `The model was lost: ${data.reason}`,
      "carrier-failed": () => `${data.operation} failed: ${data.reason}`,
      dropped: () => `${data.milliseconds} ms of audio were dropped towards the ${data.side}`,
    };
    if (show[kind]) show[kind].call(this, data);
    else if (said[kind]) this.note(data.at, said[kind](), kind.startsWith("model") || kind.endsWith("failed") ? "bad" : "");
    else if (kind === "ended") this.ended(data);
  }

  // Seconds that callers waited for an answer, in the order of the turns.
  get latencies() {
    return [...this.waits.values()];
  }

  // ---- Rows ---------------------------------------------------------------------------------------------------------

  turn(data) {
    if (!data.heard && !data.unheard && data.speaker === "agent") return;
    const row = this.row(`turn ${data.turn}`, data.began, () => {
      const item = element("li", `turn ${data.speaker}`);
      item.append(element("p", "meta"), element("p", "words"));
      return item;
    });
    const who = data.speaker === "agent" ? data.agent || "Agent" : "You";
    const meta = [element("span", "who", who), element("time", "", clock(data.began))];
    if (data.speaker === "agent" && data.waited !== null) {
      this.waits.set(data.turn, data.waited);
      const wait = element("span", "wait", `${data.waited.toFixed(2)} s`);
      wait.title = "From the caller's last sound to the agent's first";
      meta.push(wait);
    }
    if (data.lost) meta.push(element("span", "never", "rest never heard"));
    row.querySelector(".meta").replaceChildren(...meta);
    row.querySelector(".words").replaceChildren(...this.words(data));
    row.classList.toggle("speaking", data.speaker === "agent" && Boolean(data.unheard) && !data.lost);
    this.scroll();
  }

  words({ heard, unheard, lost, failed, speaker, ended }) {
    if (failed) return [element("em", "pending", "could not be transcribed")];
    if (!heard && !unheard) return [element("span", speaker === "caller" && ended === null ? "dots" : "dots still", "…")];
    const parts = heard ? [element("span", "heard", heard)] : [];
    if (heard && unheard) parts.push(" ");
    if (unheard) {
      const rest = element(lost ? "s" : "span", lost ? "lost" : "pending", unheard);
      rest.title = lost ? "Generated, and never heard" : "Not heard yet";
      parts.push(rest);
    }
    return parts;
  }

  tool(data) {
    const row = this.row(`tool ${data.id}`, data.at, () => {
      const item = element("li", "tool");
      const head = element("p", "meta");
      head.append(element("span", "mark", "ƒ"), element("code", "name"), element("span", "state"));
      item.append(head, element("dl", "arguments"), element("p", "output"), element("div", "choice"));
      return item;
    });
    if (data.tool) row.querySelector(".name").textContent = data.tool;
    if (data.arguments !== undefined) row.querySelector(".arguments").replaceChildren(...pairs(data.arguments));
    if (data.output !== undefined) row.querySelector(".output").textContent = data.output;
    if (data.state === "approved") row.dataset.approved = "";
    row.dataset.state = data.state;
    const words = { running: "running", waiting: "needs approval", done: "done", approved: "approved", rejected: "rejected" };
    row.querySelector(".state").textContent = words[data.state];
    if (data.state === "done" && "approved" in row.dataset) row.querySelector(".state").textContent = "approved · done";
    this.choice(row.querySelector(".choice"), data);
    this.scroll();
  }

  choice(place, { id, state }) {
    if (state !== "waiting") return place.replaceChildren();
    const buttons = [
      ["Approve", true],
      ["Reject", false],
    ].map(([label, approved]) => {
      const button = element("button", approved ? "button good" : "button", label);
      button.type = "button";
      button.onclick = async () => {
        for (const other of buttons) other.disabled = true;
        if (!(await this.decide(id, approved))) for (const other of buttons) other.disabled = false;
      };
      return button;
    });
    place.replaceChildren(...buttons);
  }

  handoff({ at, before, after }) {
    this.note(at, before ? `${before} → ${after}` : `${after} picks up`, "handoff");
  }

  guardrail({ at, guardrails }) {
    this.note(at, `Guardrail: ${guardrails.join(", ")}. What it refused was taken back.`, "bad");
  }

  cut({ at, by }) {
    if (!CUT_BY[by]) return;
    if (by !== "keypad") this.bargeIns++;
    this.note(at, CUT_BY[by], "cut");
  }

  plan({ at, verbs }) {
    const words = {
      say: ({ text }) => `the carrier says: “${text}”`,
      dial: ({ to }) => `the carrier dials ${to}${NOT_HERE}`,
      refer: ({ to }) => `the carrier refers the caller to ${to}${NOT_HERE}`,
      enqueue: ({ to }) => `the carrier queues the caller for ${to}${NOT_HERE}`,
      return: () => `the carrier asks whoever sent the call${NOT_HERE}`,
      markup: () => "the carrier follows the line's own TwiML",
      "hang-up": () => "the carrier hangs up",
      connect: () => "the carrier opens another stream",
      reject: ({ reason }) => `the carrier rejects the call: ${reason}`,
    };
    this.note(at, `Next, ${verbs.map((verb) => words[verb.verb](verb)).join(", then ")}.`, "plan");
  }

  ended({ result, reason }) {
    this.note(Infinity, `${ENDS[result] ?? result} · ${reason}`, result === "success" ? "end" : "end bad");
    if (result === "model") this.note(Infinity, "In a terminal, gateway doctor says what is wrong with it, and what to do.", "remedy");
  }

  note(at, text, kind) {
    this.row(`note ${this.rows.size}`, at, () => element("li", `note ${kind}`)).append(
      ...(at === Infinity ? [] : [element("time", "", clock(at))]),
      element("span", "", text),
    );
    this.scroll();
  }

  row(key, at, make) {
    let row = this.rows.get(key);
    if (!row) {
      row = make();
      row.dataset.at = at;
      this.rows.set(key, row);
      const later = [...this.list.children].find((other) => Number(other.dataset.at) > at);
      this.list.insertBefore(row, later ?? null);
    }
    return row;
  }

  scroll() {
    const box = this.list.parentElement;
    const near = box.scrollHeight - box.scrollTop - box.clientHeight < 160;
    if (near) box.scrollTop = box.scrollHeight;
  }
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// A tool's arguments as names and values; what is no JSON object as it is.
function pairs(text) {
  let values;
  try {
    values = JSON.parse(text);
  } catch {
    values = text;
  }
  if (typeof values !== "object" || values === null) values = values ? { "": values } : {};
  return Object.entries(values).flatMap(([name, value]) => [
    element("dt", "", name),
    element("dd", "", typeof value === "string" ? value : JSON.stringify(value)),
  ]);
}
