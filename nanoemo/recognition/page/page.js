"use strict";
// What the page that sees and the page that listens have in common: words, questions to the program that serves them, bars,
// a device that is turned on and off, and a chosen file.

export const ORANGE = "#D55E00";
export const element = (id) => document.getElementById(id);
export const percent = (value) => `${Math.round(100 * value)} %`;

// What has changed, in the line that screen readers read aloud; `beside` it, what changes all the time, in one that they do not.
export function say(text, { problem = false, beside = "" } = {}) {
  if (element("status").textContent !== text) element("status").textContent = text;
  element("status").classList.toggle("problem", problem);
  element("beside").textContent = beside;
}

// ---- asking the program

// `signal` can take the question back.
export async function ask(path, body = null, signal = null) {
  let answer, result;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", body, signal });
    result = await answer.json();
  } catch {
    throw new Error("The program does not answer. Is `nanoemo webcam` still running?");
  }
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
    say(error.message, { problem: true });
    throw error;
  }
}

// ---- bars

function make(tag, text, parent) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}

// For each answer a title and a bar for each of its {class: probability}, that of its label marked. A probability of null has
// none: silence. What is there already is changed, not made anew, so that whoever reads it keeps the place.
export function showBars(answers) {
  const place = element("answers");
  while (place.children.length > answers.length) place.lastChild.remove();
  answers.forEach(({ title, label, probabilities }, index) => {
    const classes = Object.keys(probabilities);
    const [heading, ...rows] = (place.children[index] ?? empty(place, classes)).children;
    heading.textContent = title;
    rows.forEach((row, index) => fill(row, probabilities[classes[index]], classes[index] === label));
  });
}

function empty(place, classes) {
  const part = make("div", "", place);
  part.className = "answer";
  make("h2", "", part);
  for (const name of classes) {
    const row = make("div", "", part);
    make("span", name, row);
    make("meter", "", row).setAttribute("aria-label", name);
    make("span", "", row);
  }
  return part;
}

function fill(row, value, best) {
  const [, meter, number] = row.children;
  row.className = best ? "bar best" : "bar";
  meter.value = value ?? 0;
  meter.textContent = number.textContent = value === null ? "–" : percent(value);
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
      say(this.reason(error), { problem: true });
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
    say(text, { problem });
  }
}

// ---- a chosen file

// The function that sends the chosen file to `path()` and says what `show(file, answer, signal)` says of it, unless something
// else was begun in the meantime: then `signal` is aborted. `clear` takes away what was shown before; `doing` is said while one waits.
export function chooser({ device, about, doing, path, clear, show }) {
  const input = element("file");
  let file = null, asked = new AbortController();

  const send = async () => {
    if (!file) return;
    device.stop();
    clear();
    say(`${doing} ${file.name} …`);
    asked.abort();
    const { signal } = asked = new AbortController();
    let text, problem = false;
    try {
      const answer = await ask(path(), await bytes(file, about.most_bytes), signal);
      text = await show(file, answer, signal);
    } catch (error) {
      [text, problem] = [error.message, true];
    }
    if (!signal.aborted) say(`${file.name}: ${text}`, { problem });
  };
  const choose = () => {
    file = input.files[0] ?? null;
    return send();
  };
  input.addEventListener("change", choose);
  input.addEventListener("click", () => input.value = "");     // else the same file, chosen again, would be no change
  device.button.addEventListener("click", () => {              // the device takes its place
    asked.abort();
    input.value = "";
    file = null;
  });
  choose();             // one may have been chosen while the page was still asking what it serves
  return send;
}

async function bytes(file, most) {
  if (file.size > most) throw new Error(`${size(file.size)}; up to ${size(most)} are read`);
  try {
    return await file.arrayBuffer();
  } catch {
    throw new Error("it cannot be read; if it was changed or moved since it was chosen, choose it again");
  }
}

const size = (bytes) => `${Math.round(bytes / 1e6)} MB`;
