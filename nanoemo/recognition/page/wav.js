"use strict";
// Sound as a WAV file in memory: a header of 44 bytes, little-endian, then the samples
// (Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991).

// One channel of samples, -1 to 1, `rate` a second, in 16 bits, as an ArrayBuffer.
export function wav(samples, rate) {
  const size = 2 * samples.length;
  const view = new DataView(new ArrayBuffer(44 + size));
  const text = (place, word) => [...word].forEach((letter, index) => view.setUint8(place + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);           // bytes that follow
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);                 // bytes of the format
  view.setUint16(20, 1, true);                  // PCM
  view.setUint16(22, 1, true);                  // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);           // bytes a second
  view.setUint16(32, 2, true);                  // bytes a sample, of all channels
  view.setUint16(34, 16, true);                 // bits a sample
  text(36, "data");
  view.setUint32(40, size, true);
  samples.forEach((sample, index) =>
    view.setInt16(44 + 2 * index, Math.max(-32768, Math.min(32767, Math.round(32768 * sample))), true));
  return view.buffer;
}
