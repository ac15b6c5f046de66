// Tracks from pieces that hold all of them, played by one clock: every piece of every track starts at
// a whole sample of the same context, so tracks cannot drift.
class Player {
  constructor(facts, urlOf, changed, failed) {
    Object.assign(this, { facts, urlOf, changed, failed });
    this.rate = facts.sample_rate;
    this.total = facts.n_samples;
    this.gains = facts.tracks.map(() => 1);
    this.pieces = new Map();
    this.nodes = new Set();
    this.run = 0;
    this.at = 0; // sample, while nothing plays
    this.playing = this.waiting = false;
  }

  get position() { // in samples
    if (!this.playing || this.origin === null) return this.at;
    const heard = (this.context.currentTime - this.origin) * this.rate;
    return Math.max(this.at, Math.min(heard, this.scheduled));
  }

  open() {
    try {
      this.context = new AudioContext({ sampleRate: this.rate });
    } catch { // a rate that the browser does not play: it resamples
      this.context = new AudioContext();
    }
    this.outputs = this.gains.map((gain) => {
      const node = this.context.createGain();
      node.gain.value = gain;
      node.connect(this.context.destination);
      return node;
    });
  }

  play() {
    if (!this.context) this.open();
    this.context.resume();
    if (this.at >= this.total - 1) this.at = 0;
    this.playing = true;
    this.start();
  }

  pause() {
    this.at = this.position;
    this.playing = false;
    this.halt();
    this.changed();
  }

  seek(sample) {
    this.at = Math.max(0, Math.min(Math.round(sample), this.total - 1));
    if (this.playing) this.start(this.halt());
    else this.changed();
  }

  setGain(track, gain) {
    this.gains[track] = gain;
    if (this.context) this.outputs[track].gain.setTargetAtTime(gain, this.context.currentTime, 0.015);
  }

  close() {
    this.playing = false;
    this.halt();
    if (this.context) this.context.close();
    this.pieces.clear();
  }

  halt() {
    this.run++;
    for (const node of this.nodes) node.stop();
    this.nodes.clear();
  }

  async start() {
    const run = ++this.run, { context, rate, total } = this, size = this.facts.chunk_samples;
    let sample = this.at = Math.floor(this.at);
    let first = null; // frame of the context at which sample 0 would be heard
    this.origin = null;
    this.wait(true);
    while (sample < total) {
      const index = Math.floor(sample / size);
      let buffers;
      try {
        buffers = await this.piece(index);
      } catch (error) {
        if (run !== this.run) return;
        this.pause();
        this.failed(error.message);
        return;
      }
      if (run !== this.run) return;
      const soon = Math.ceil((context.currentTime + 0.06) * rate);
      if (first === null || first + sample < soon - 0.05 * rate) { // at first, or where a piece came late
        if (first !== null) this.at = sample;
        first = soon - sample;
      }
      const offset = sample - index * size;
      buffers.forEach((buffer, track) => {
        const node = context.createBufferSource();
        node.buffer = buffer;
        node.connect(this.outputs[track]);
        node.onended = () => this.nodes.delete(node);
        node.start((first + sample) / rate, offset / rate);
        this.nodes.add(node);
      });
      sample += buffers[0].length - offset;
      this.origin = first / rate;
      this.scheduled = sample;
      this.wait(false);
      if (sample < total) this.piece(index + 1).catch(() => {});
      while (run === this.run && (first + sample) / rate - context.currentTime > 1.5 * size / rate) await pause(100);
      if (run !== this.run) return;
    }
    while (run === this.run && this.position < total) await pause(50);
    if (run === this.run) { this.pause(); }
  }

  wait(waiting) {
    this.waiting = waiting;
    this.changed();
  }

  piece(index) {
    let piece = this.pieces.get(index);
    this.pieces.delete(index); // and to the end: the oldest goes first
    if (!piece) {
      piece = this.load(index);
      piece.catch(() => this.pieces.delete(index));
    }
    this.pieces.set(index, piece);
    for (const old of this.pieces.keys()) if (this.pieces.size > 8) this.pieces.delete(old);
    return piece;
  }

  async load(index) {
    const samples = new Int16Array(await (await fetched(this.urlOf(index))).arrayBuffer());
    const { tracks, n_channels } = this.facts, n = samples.length / tracks.length / n_channels;
    return tracks.map((_, track) => {
      const buffer = new AudioBuffer({ length: n, numberOfChannels: n_channels, sampleRate: this.rate });
      for (let c = 0; c < n_channels; c++) {
        const from = (track * n_channels + c) * n, out = buffer.getChannelData(c);
        for (let i = 0; i < n; i++) out[i] = samples[from + i] / 32768;
      }
      return buffer;
    });
  }
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// A response, or an error whose message is a sentence of the server's; a network that fails is tried again.
async function fetched(url) {
  for (let attempt = 0; ; attempt++) {
    let response;
    try {
      response = await fetch(url);
    } catch {
      if (attempt === 3) throw new Error("The server cannot be reached.");
      await pause(500 * 2 ** attempt);
      continue;
    }
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    throw new Error(body.error || "The server does not answer as it should.");
  }
}
