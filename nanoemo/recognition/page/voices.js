"use strict";
// Listens to the microphone, or takes a chosen recording; sends it to the program that serves this page; draws what it hears.

import { Device, ask, chooser, element, introduce, percent, say, showBars } from "/page.js";
import { drawTimeline } from "/timeline.js";
import { wav } from "/wav.js";

const WINDOW = 3, HOP = 1;  // seconds: what is sent of the microphone, and how often; as nanoemo/data/windows.py cuts recordings
const SHORTEST = 0.1;       // seconds: the program hears no emotion in less
const SHOWN = 60;           // seconds of the microphone on the timeline
const AGO = { tick: (second) => second === 0 ? "now" : String(-second), axis: "seconds ago" };

// ---- showing the answer

// `answer`: {label, probabilities}, or {silent: true}
function showAnswer(title, answer) {
  const none = Object.fromEntries(about.classes.map((name) => [name, null]));
  showBars([{ title: title + headline(answer), label: answer.label, probabilities: answer.probabilities ?? none }]);
}

// An empty timeline of the microphone.
function clear() {
  showBars([]);
  drawColumns([], { from: -SHOWN, to: 0, ...AGO });
}

const headline = (answer) => answer.silent ? "silence" : `${answer.label} ${percent(answer.probabilities[answer.label])}`;

function drawColumns(columns, axes) {
  drawTimeline(element("timeline"), about.classes, columns, axes);
}

// ---- the microphone

class Microphone extends Device {
  constructor() {
    // All three are named: Chromium lets the others follow the first.
    super("microphone", "recording",
          { audio: { echoCancellation: false, noiseSuppression: true, autoGainControl: true }, video: false });
  }

  async open(stream) {
    this.context = new AudioContext();
    await this.context.resume();
    await this.context.audioWorklet.addModule("/recorder.js");
    this.recorder = new AudioWorkletNode(this.context, "recorder", { processorOptions: { seconds: WINDOW } });
    this.context.createMediaStreamSource(stream).connect(this.recorder);
    this.recorder.connect(this.context.destination);        // nothing is heard of it, but what leads nowhere need not run
    this.columns = [];
    this.before = this.context.currentTime;
    clear();
    say("Listening …");
  }

  close() {
    this.context?.close();
  }

  async take() {
    const { recorder, context } = this;         // by the time it has waited, the microphone may have been started anew
    let samples = [];
    while (samples.length < SHORTEST * context.sampleRate) {
      const wait = this.before + HOP - context.currentTime;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(SHORTEST, wait)));
      if (context !== this.context) return null;
      samples = await new Promise((resolve) => {
        recorder.port.onmessage = (message) => resolve(message.data);
        recorder.port.postMessage("last");
      });
    }
    const end = context.currentTime, since = end - this.before;
    this.before = end;
    const start = end - Math.min(since, WINDOW);        // what was before that is not heard
    return { start, end, since, answer: await ask("/listen?microphone", wav(samples, context.sampleRate)) };
  }

  show({ start, end, since, answer }) {
    this.columns = this.columns.filter((column) => column.end > end - SHOWN);
    this.columns.push({ start, end, label: answer.label, probabilities: answer.probabilities ?? null });
    showAnswer("", answer);
    const ago = this.columns.map((column) => ({ ...column, start: column.start - end, end: column.end - end }));
    drawColumns(ago, { from: -SHOWN, to: 0, ...AGO });
    const loud = answer.clipped ? ", too loud" : "";
    say(`Listening: ${answer.label ?? "silence"}${loud}`, { beside: `the last ${WINDOW} s, every ${since.toFixed(1)} s` });
  }
}

// ---- a chosen recording

function showFile(_, answer) {
  const pieces = answer.windows ?? [{ start: 0, end: answer.seconds, silent: true }];
  const middle = (piece) => (piece.start + piece.end) / 2;
  // Windows overlap: what was heard in one is drawn around its middle, halfway to its neighbours'.
  const columns = pieces.map((piece, index) => ({
    start: index === 0 ? 0 : (middle(pieces[index - 1]) + middle(piece)) / 2,
    end: index === pieces.length - 1 ? answer.seconds : (middle(piece) + middle(pieces[index + 1])) / 2,
    label: piece.label,
    probabilities: piece.probabilities ?? null,
  }));
  const mean = pieces.length > 1 ? "on average " : "";
  showAnswer(mean, answer);
  drawColumns(columns, { from: 0, to: answer.seconds, tick: String, axis: "seconds" });
  const clipped = !answer.clipped ? "" : pieces.length === 1 ? ", clipped" : `, ${answer.clipped} of ${pieces.length} windows clipped`;
  return `${answer.seconds.toFixed(1)} s${clipped}: ${mean}${headline(answer)}`;
}

const about = await introduce("Made voices are nobody's: what it says of you means nothing.");
clear();
chooser({ device: new Microphone(), about, doing: "Listening to", path: () => "/listen", clear, show: showFile });
