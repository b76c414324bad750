// A telephone: speaks Twilio's Media Streams messages to the gateway, with this browser's microphone and speaker.

const WORKLET = "/console/static/phone-worklet.js";
const CALLS = "/console/softphone/calls";
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const TONES = { row: [697, 770, 852, 941], column: [1209, 1336, 1477], keys: ["123", "456", "789", "*0#"] };
const TONE_SECONDS = 0.12;
const LONGEST_NOTICE = 12000;

// Why there is no microphone, in words for people.
const DEAF = {
  NotAllowedError: "The browser may not use the microphone. Allow it for this page, then call again.",
  NotFoundError: "No microphone was found. You can listen and press keys.",
  NotReadableError: "Another program holds the microphone. You can listen and press keys.",
};

// Tells of itself by events: state, level, deaf, news, stale, said.
export class Phone extends EventTarget {
  constructor() {
    super();
    this.state = "idle";
    this.voiced = 0;
  }

  async call(line) {
    this.change("calling");
    try {
      await this.open();
      const answer = await fetch(CALLS, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ line }),
      });
      const offer = await answer.json();
      if (!answer.ok) throw new Error(offer.error ?? `The gateway answered ${answer.status}.`);
      this.offer = offer;
      this.follow();
      for (const said of offer.before) await this.speak(said.text, said.language);
      if (this.state === "calling") this.connect();
    } catch (error) {
      this.close(error instanceof TypeError ? "The gateway can't be reached." : error.message);
    }
  }

  hangUp() {
    this.send({ event: "stop", streamSid: this.sid, stop: {} });
    this.close("");
  }

  mute(muted) {
    this.capture?.port.postMessage({ muted });
  }

  press(digit) {
    if (this.state !== "talking") return;
    this.send({ event: "dtmf", streamSid: this.sid, dtmf: { track: "inbound_track", digit } });
    this.tone(digit);
  }

  async decide(tool, approved) {
    const path = `${CALLS}/${this.offer.call_id}/approvals/${encodeURIComponent(tool)}`;
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ approved }),
    });
    return answer.ok;
  }

  // Say words that a carrier would say in a voice of its own; settles when they were said.
  speak(text, language) {
    this.tell("said", { text });
    if (!globalThis.speechSynthesis?.getVoices().length) return Promise.resolve();
    return new Promise((settle) => {
      const words = new SpeechSynthesisUtterance(text);
      if (language) words.lang = language;
      words.onend = words.onerror = settle;
      setTimeout(settle, LONGEST_NOTICE);
      speechSynthesis.speak(words);
    });
  }

  // ---- Sound --------------------------------------------------------------------------------------------------------

  async open() {
    this.audio = new AudioContext({ latencyHint: "interactive" });
    await this.audio.audioWorklet.addModule(WORKLET);
    this.capture = new AudioWorkletNode(this.audio, "capture", { numberOfOutputs: 0 });
    this.capture.port.onmessage = ({ data }) => this.captured(data);
    this.playout = new AudioWorkletNode(this.audio, "playout", { numberOfInputs: 0, outputChannelCount: [1] });
    this.playout.port.onmessage = ({ data }) => this.played(data);
    this.playout.connect(this.audio.destination);
    this.frames = 0;
    this.voiced = 0;
    try {
      if (!navigator.mediaDevices) throw new DOMException("no secure context", "NotFoundError");
      this.microphone = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
      this.audio.createMediaStreamSource(this.microphone).connect(this.capture);
    } catch (error) {
      this.tell("deaf", { why: DEAF[error.name] ?? `The microphone can't be used: ${error.message}` });
    }
    await this.audio.resume();
  }

  captured({ frame, level }) {
    this.tell("level", { who: "caller", level });
    if (this.state !== "talking") return;
    const timestamp = String(this.frames++ * 20);
    const payload = btoa(String.fromCharCode(...frame));
    this.send({ event: "media", streamSid: this.sid, media: { track: "inbound", timestamp, payload } });
  }

  played({ mark, level, voiced }) {
    if (mark !== undefined) {
      this.send({ event: "mark", streamSid: this.sid, mark: { name: mark } });
    } else {
      this.voiced = voiced;
      this.tell("level", { who: "agent", level });
    }
  }

  tone(digit) {
    const row = TONES.keys.findIndex((keys) => keys.includes(digit));
    const gain = this.audio.createGain();
    gain.gain.value = 0.06;
    gain.connect(this.audio.destination);
    for (const frequency of [TONES.row[row], TONES.column[TONES.keys[row].indexOf(digit)]]) {
      const tone = new OscillatorNode(this.audio, { frequency });
      tone.connect(gain);
      tone.start();
      tone.stop(this.audio.currentTime + TONE_SECONDS);
    }
  }

  // ---- The stream ---------------------------------------------------------------------------------------------------

  connect() {
    const { call_sid: callSid, account_sid: accountSid, parameters: customParameters, stream } = this.offer;
    this.sid = `MZ${crypto.randomUUID().replaceAll("-", "")}`;
    this.sequence = 0;
    const socket = (this.socket = new WebSocket(stream.replace(/^/, location.origin.replace(/^http/, "ws"))));
    socket.onopen = () => {
      socket.send(JSON.stringify({ event: "connected", protocol: "Call", version: "1.0.0" }));
      const mediaFormat = { encoding: "audio/x-mulaw", sampleRate: 8000, channels: 1 };
      const start = { accountSid, callSid, streamSid: this.sid, tracks: ["inbound"], mediaFormat, customParameters };
      this.send({ event: "start", streamSid: this.sid, start });
      this.change("talking");
    };
    socket.onmessage = ({ data }) => this.heard(JSON.parse(data));
    socket.onclose = ({ code }) => this.close(code === 1000 ? "" : this.state === "calling" ? "The gateway refused the call." : "");
  }

  heard({ event, media, mark }) {
    if (event === "media") {
      const audio = Uint8Array.from(atob(media.payload), (character) => character.charCodeAt(0));
      if (audio.length) this.playout.port.postMessage({ audio }, [audio.buffer]);
    } else if (event === "mark") {
      this.playout.port.postMessage({ mark: mark.name });
    } else if (event === "clear") {
      this.playout.port.postMessage({ clear: true });
    }
  }

  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ sequenceNumber: String(++this.sequence), ...message }));
  }

  close(why) {
    if (this.state === "idle") return;
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.audio?.close();
    this.socket?.close(1000);
    this.microphone = this.audio = this.capture = this.socket = undefined;
    this.change("idle", why);
    if (this.news) this.patience = setTimeout(() => this.unfollow(), 5000); // the record's last words
  }

  // ---- The news -----------------------------------------------------------------------------------------------------

  follow() {
    this.unfollow();
    const news = (this.news = new EventSource(`${CALLS}/${this.offer.call_id}/events`));
    const kinds = "call turn tool handoff guardrail speech cut key hang-up transfer plan model-error model-lost dropped carrier-failed";
    for (const kind of kinds.split(" ")) {
      news.addEventListener(kind, ({ data }) => this.tell("news", { kind, data: JSON.parse(data) }));
    }
    news.addEventListener("ended", ({ data }) => {
      this.unfollow();
      this.tell("news", { kind: "ended", data: JSON.parse(data) });
      this.close("");
    });
    news.onerror = () => this.tell("stale", { since: new Date() });
    news.onopen = () => this.tell("stale", { since: null });
  }

  unfollow() {
    clearTimeout(this.patience);
    this.news?.close();
    this.news = undefined;
  }

  change(state, why = "") {
    this.state = state;
    this.tell("state", { state, why });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
