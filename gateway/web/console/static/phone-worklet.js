// The telephone's ear and mouth, on the audio thread: microphone -> G.711 mu-law frames of 20 ms, and back.
// One file, since not every browser lets a worklet import others.

const TELEPHONE = 8000;
const FRAME = 160;
const HALF_TAPS = 16;
const PHASES = 128;
const LEVELS_EVERY = 2; // frames between two reports of how loud it is
const QUIET = 0.004;

// ---- G.711 mu-law ---------------------------------------------------------------------------------------------------

const BIAS = 0x84;
const CLIP = 32635;

const DECODED = Float32Array.from({ length: 256 }, (_, code) => {
  const value = ~code & 0xff;
  const magnitude = ((((value & 0x0f) << 3) + BIAS) << ((value >> 4) & 7)) - BIAS;
  return (value & 0x80 ? -magnitude : magnitude) / 32768;
});

function encode(sample) {
  const value = Math.max(-CLIP, Math.min(CLIP, Math.round(sample * 32768)));
  const magnitude = Math.abs(value) + BIAS;
  const exponent = Math.max(0, 24 - Math.clz32(magnitude)); // BIAS lifts every magnitude to 8 bits or more
  const code = (value < 0 ? 0x80 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0f);
  return ~code & 0xff;
}

// ---- Resampling -----------------------------------------------------------------------------------------------------

// Streams samples from one rate to another through a windowed sinc, so that nothing above the telephone's 4 kHz folds
// back into what is heard.
class Resampler {
  constructor(from, to) {
    this.step = from / to;
    const narrow = Math.min(1, to / from) * 0.94;
    this.half = Math.ceil(HALF_TAPS * Math.max(1, this.step));
    this.kernels = Array.from({ length: PHASES }, (_, phase) => this.kernel(phase / PHASES, narrow));
    this.samples = new Float32Array(8192);
    this.filled = this.half; // silence before the first sample
    this.at = this.half; // the next output, as a position in the samples
  }

  kernel(offset, narrow) {
    const taps = new Float32Array(2 * this.half);
    let sum = 0;
    for (let tap = 0; tap < taps.length; tap++) {
      const x = tap - this.half + 1 - offset;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / this.half);
      taps[tap] = (x === 0 ? narrow : Math.sin(Math.PI * x * narrow) / (Math.PI * x)) * window;
      sum += taps[tap];
    }
    return taps.map((tap) => tap / sum);
  }

  // Takes samples and calls `each` with every sample that can be made of them.
  push(samples, each) {
    if (this.filled + samples.length > this.samples.length) this.forget();
    this.samples.set(samples, this.filled);
    this.filled += samples.length;
    while (Math.floor(this.at) + this.half < this.filled) {
      const whole = Math.floor(this.at);
      const taps = this.kernels[Math.floor((this.at - whole) * PHASES)];
      let sum = 0;
      for (let tap = 0, from = whole - this.half + 1; tap < taps.length; tap++) sum += taps[tap] * this.samples[from + tap];
      each(sum);
      this.at += this.step;
    }
  }

  forget() {
    const start = Math.floor(this.at) - this.half;
    this.samples.copyWithin(0, start, this.filled);
    this.filled -= start;
    this.at -= start;
  }
}

// ---- The microphone -------------------------------------------------------------------------------------------------

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, TELEPHONE);
    this.silence = new Float32Array(128);
    this.muted = false;
    this.begin();
    this.port.onmessage = ({ data }) => (this.muted = data.muted);
  }

  begin() {
    this.frame = new Uint8Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  process([input]) {
    // Without a microphone the line carries silence: the far end's clock runs by these frames.
    const samples = this.muted || !input || !input.length ? this.silence : input[0];
    this.resampler.push(samples, (sample) => {
      this.frame[this.filled++] = encode(sample);
      this.energy += sample * sample;
      if (this.filled < FRAME) return;
      const level = Math.sqrt(this.energy / FRAME);
      this.port.postMessage({ frame: this.frame, level }, [this.frame.buffer]);
      this.begin();
    });
    return true;
  }
}

// ---- The ear --------------------------------------------------------------------------------------------------------

// Plays what comes in the order in which it came. A mark is reached when all audio before it was played, or thrown away.
class Playout extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = [];
    this.resampler = new Resampler(TELEPHONE, sampleRate);
    this.ready = [];
    this.chunk = new Float32Array(8);
    this.counted = 0;
    this.energy = 0;
    this.voiced = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(message) {
    if (message.clear) {
      const marks = this.queue.filter((item) => item.mark !== undefined);
      this.queue = [];
      for (const { mark } of marks) this.port.postMessage({ mark });
    } else {
      this.queue.push({ ...message, at: 0 });
      this.passMarks();
    }
  }

  passMarks() {
    while (this.queue.length && this.queue[0].mark !== undefined) this.port.postMessage({ mark: this.queue.shift().mark });
  }

  next() {
    const item = this.queue[0];
    if (!item) return 0;
    const sample = DECODED[item.audio[item.at++]];
    if (item.at >= item.audio.length) {
      this.queue.shift();
      this.passMarks();
    }
    return sample;
  }

  process(_inputs, [output]) {
    const out = output[0];
    while (this.ready.length < out.length) {
      for (let index = 0; index < this.chunk.length; index++) {
        const sample = this.next();
        this.chunk[index] = sample;
        this.count(sample);
      }
      this.resampler.push(this.chunk, (sample) => this.ready.push(sample));
    }
    out.set(this.ready.splice(0, out.length));
    for (const channel of output.slice(1)) channel.set(out);
    return true;
  }

  count(sample) {
    this.energy += sample * sample;
    if (++this.counted < FRAME * LEVELS_EVERY) return;
    const level = Math.sqrt(this.energy / this.counted);
    if (level > QUIET) this.voiced += (this.counted / TELEPHONE) * 1000;
    this.port.postMessage({ level, voiced: this.voiced });
    this.counted = this.energy = 0;
  }
}

registerProcessor("capture", Capture);
registerProcessor("playout", Playout);
