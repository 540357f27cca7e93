"use strict";
// Runs in the browser's audio thread: keeps the last seconds of the microphone, and hands them over when asked.

class Recorder extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.ring = new Float32Array(Math.round(processorOptions.seconds * sampleRate));    // the oldest sample is overwritten
    this.heard = 0;                                                                     // samples so far
    this.port.onmessage = () => this.port.postMessage(this.last());
  }

  // `channels`: those of the microphone, 128 samples each; none while it gives nothing
  process([channels]) {
    const length = channels[0]?.length ?? 0;
    for (let index = 0; index < length; index++) {
      const sum = channels.reduce((total, channel) => total + channel[index], 0);
      this.ring[this.heard++ % this.ring.length] = sum / channels.length;
    }
    return true;            // go on
  }

  last() {
    const size = Math.min(this.heard, this.ring.length);
    return Float32Array.from({ length: size }, (_, index) => this.ring[(this.heard - size + index) % this.ring.length]);
  }
}

registerProcessor("recorder", Recorder);
