"use strict";
// What the page that sees and the page that listens have in common: words, questions to the program that serves them, bars,
// a device that is turned on and off, and a chosen file.

export const ORANGE = "#D55E00";
export const element = (id) => document.getElementById(id);
export const percent = (value) => `${Math.round(100 * value)} %`;

export function say(text, problem = false) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", problem);
}

// ---- asking the program

export async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, body ? { method: "POST", body } : {});
  } catch {
    throw new Error("The program does not answer. Is `nanoemo webcam` still running?");
  }
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error);
  return result;
}

// Says what the network is, with `warning` where it was trained on what was drawn; gives all that is known of it.
export async function introduce(warning) {
  try {
    const about = await ask("/about");
    element("model").textContent = about.title + (about.drawn ? `. ${warning}` : "");
    element("model").classList.toggle("drawn", about.drawn);
    return about;
  } catch (error) {
    say(error.message, true);
    throw error;
  }
}

// ---- bars

function make(tag, text = "", parent = null) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

// A bar for each of {class: probability}, the best marked, under a title. A probability of null has none: silence.
export function bars(title, probabilities) {
  const part = make("div");
  part.className = "answer";
  make("h2", title, part);
  const highest = Math.max(...Object.values(probabilities));
  for (const [name, value] of Object.entries(probabilities)) {
    const row = make("div", "", part);
    row.className = value !== null && value === highest ? "bar best" : "bar";
    make("span", name, row);
    const text = value === null ? "–" : percent(value);
    const meter = make("meter", text, row);
    meter.value = value ?? 0;
    meter.setAttribute("aria-label", name);
    make("span", text, row);
  }
  return part;
}

// ---- a camera or a microphone

// The button named `name` turns it on and off. A subclass says how to `open` and `close` it, how to `take` what is to be
// shown, an answer of the program, and how to `show` that.
export class Device {
  constructor(name, instead, constraints) {
    Object.assign(this, { name, instead, constraints, stream: null, waiting: false, button: element(name) });
    this.button.addEventListener("click", () => this.stream ? this.stop() : this.start());
    this.button.disabled = false;       // as the page is written: a click before anybody listens would be lost
  }

  async start() {
    if (this.waiting) return;
    say(`Waiting for the ${this.name} …`);
    this.waiting = true;
    try {
      if (!navigator.mediaDevices) throw new Error("this browser gives pages none");
      this.stream = await navigator.mediaDevices.getUserMedia(this.constraints);
    } catch (error) {
      say(this.reason(error), true);
      return;
    } finally {
      this.waiting = false;
    }
    this.button.textContent = `Stop the ${this.name}`;
    this.watch(this.stream);
  }

  reason(error) {
    return {
      NotAllowedError: `The browser does not allow this page the ${this.name}. Allow it beside the address, and start again.`,
      NotFoundError: `No ${this.name} was found. You can choose a ${this.instead} instead.`,
      NotReadableError: `The ${this.name} is in use by another program.`,
    }[error.name] ?? `The ${this.name} cannot be used: ${error.message}. You can choose a ${this.instead} instead.`;
  }

  // Answer after answer, the next one asked for when the last has come; so the program is never behind.
  async watch(mine) {
    mine.getTracks()[0].onended = () => mine === this.stream && this.stop(`The ${this.name} has gone.`, true);
    try {
      await this.open(mine);
      while (this.stream === mine) {
        const taken = await this.take();
        if (this.stream === mine) this.show(taken);
      }
    } catch (error) {
      if (this.stream === mine) this.stop(error.message, true);
    }
  }

  stop(text = `The ${this.name} is off.`, problem = false) {
    if (!this.stream) return;
    this.stream.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.close();
    this.button.textContent = `Start the ${this.name}`;
    say(text, problem);
  }
}

// ---- a chosen file

// The function that sends the chosen file to `path()` and says what `show(file, answer)` says of it, unless something else
// was begun in the meantime. `clear` takes away what was shown before; `doing` is said while one waits.
export function chooser({ device, about, doing, path, clear, show }) {
  const input = element("file");
  const send = async () => {
    const file = input.files[0];
    if (!file) return;
    device.stop();
    clear();
    say(`${doing} ${file.name} …`);
    const current = () => !device.stream && input.files[0] === file;
    try {
      if (file.size > about.most_bytes) throw new Error(`${size(file.size)}; up to ${size(about.most_bytes)} are read`);
      const answer = await ask(path(), file);
      if (current()) say(`${file.name}: ${await show(file, answer)}`);
    } catch (error) {
      if (current()) say(`${file.name}: ${error.message}`, true);
    }
  };
  input.addEventListener("change", send);
  send();               // one may have been chosen while the page was still asking what it serves
  return send;
}

const size = (bytes) => `${Math.round(bytes / 1e6)} MB`;
