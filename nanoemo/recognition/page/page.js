"use strict";
// Takes a frame of the camera, or a chosen picture; sends it to the program that serves this page; draws what it finds.

const ORANGE = "#D55E00";
const FRAME = 640;          // pixels: the longer side of what is sent of the camera
const SHOWN = 1280;         // pixels: the longer side of a chosen picture as it is drawn
const MOST_BARS = 6;        // faces whose bars are shown
const element = (id) => document.getElementById(id);
const video = element("video"), canvas = element("picture"), button = element("camera"), file = element("file");

const CAMERA_PROBLEMS = {
  NotAllowedError: "The browser does not allow this page to use the camera. Allow it beside the address, and start again.",
  NotFoundError: "No camera was found. You can choose a picture instead.",
  NotReadableError: "The camera is in use by another program.",
};

function say(text, problem = false) {
  element("status").textContent = text;
  element("status").classList.toggle("problem", problem);
}

// ---- asking the program

async function ask(path, body) {
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

// ---- showing the answer

function draw(source, width, height, result) {
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.drawImage(source, 0, 0, width, height);
  const scale = width / result.width;
  const line = Math.max(2, width / 200);
  result.faces.forEach((face, index) => {
    const side = face.side * scale;
    pen.save();
    pen.translate(face.x * scale, face.y * scale);
    pen.rotate(face.tilt * Math.PI / 180);
    for (const [colour, thickness] of [["white", 2 * line], [ORANGE, line]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thickness;
      pen.strokeRect(-side / 2, -side / 2, side, side);
    }
    pen.restore();
    label(pen, headline(face, index), face.x * scale, face.y * scale, side, width);
  });
}

// Above the face, below it where there is no room; smaller on a small face, so that neighbours do not hide one another.
function label(pen, text, x, y, side, width) {
  const size = Math.max(width / 64, Math.min(side / 4, width / 28));
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const long = pen.measureText(text).width + size;
  const left = Math.min(Math.max(x - long / 2, 0), width - long);
  const above = y - 0.58 * side - 1.4 * size;
  const top = above < 0 ? y + 0.58 * side : above;
  pen.fillStyle = ORANGE;
  pen.fillRect(left, top, long, 1.4 * size);
  pen.fillStyle = "white";
  pen.fillText(text, left + size / 2, top + 1.05 * size);
}

const percent = (value) => `${Math.round(100 * value)} %`;
const headline = (face, index) => `${index + 1}  ${face.label} ${percent(face.probabilities[face.label])}`;

function make(tag, text = "", parent = null) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function showBars(faces) {
  element("faces").replaceChildren(...faces.slice(0, MOST_BARS).map((face, index) => {
    const part = make("div");
    part.className = "face";
    make("h2", headline(face, index), part);
    for (const [name, value] of Object.entries(face.probabilities)) {
      const row = make("div", "", part);
      row.className = name === face.label ? "bar best" : "bar";
      make("span", name, row);
      const meter = make("meter", percent(value), row);
      meter.value = value;
      meter.setAttribute("aria-label", name);
      make("span", percent(value), row);
    }
    return part;
  }));
}

function count(faces) {
  const bars = faces.length > MOST_BARS ? `; bars of the ${MOST_BARS} largest` : "";
  return faces.length === 0 ? "no face found" : `${faces.length} ${faces.length === 1 ? "face" : "faces"}${bars}`;
}

function show(source, width, height, result) {
  draw(source, width, height, result);
  showBars(result.faces);
}

// The size of a picture with its longer side brought down to `longest`.
function fitted(width, height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

// ---- the camera

let stream = null;

async function startCamera() {
  if (!navigator.mediaDevices) {
    say("This browser gives pages no camera. You can choose a picture instead.", true);
    return;
  }
  say("Waiting for the camera …");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
  } catch (error) {
    say(CAMERA_PROBLEMS[error.name] ?? `The camera cannot be used: ${error.message}`, true);
    return;
  }
  button.textContent = "Stop the camera";
  video.srcObject = stream;
  await video.play();
  watch(stream);
}

function stopCamera(text = "The camera is off.", problem = false) {
  if (!stream) return;
  stream.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  button.textContent = "Start the camera";
  say(text, problem);
}

// Frame after frame, the next one when the answer to the last has come; so the program is never behind.
async function watch(mine) {
  mine.getVideoTracks()[0].onended = () => mine === stream && stopCamera("The camera has gone.", true);
  let before = performance.now(), pace = 0;
  while (stream === mine) {
    const [width, height] = fitted(video.videoWidth, video.videoHeight, FRAME);
    const frame = new OffscreenCanvas(width, height);
    frame.getContext("2d").drawImage(video, 0, 0, width, height);
    try {
      const result = await ask("/recognize?camera", await frame.convertToBlob({ type: "image/jpeg", quality: 0.9 }));
      if (stream !== mine) return;
      show(frame, width, height, result);
      const now = performance.now();
      pace = 0.8 * (pace || now - before) + 0.2 * (now - before);
      before = now;
      say(`${count(result.faces)}; ${(1000 / pace).toFixed(1)} pictures a second`);
    } catch (error) {
      if (stream === mine) stopCamera(error.message, true);
    }
  }
}

// ---- a chosen picture

async function showFile() {
  const chosen = file.files[0];
  if (!chosen) return;
  stopCamera();
  say(`Looking at ${chosen.name} …`);
  try {
    const result = await ask(element("whole").checked ? "/recognize?whole" : "/recognize", chosen);
    const picture = await createImageBitmap(chosen).catch(() => null);
    if (picture) show(picture, ...fitted(result.width, result.height, SHOWN), result);
    else showBars(result.faces);
    say(`${chosen.name}: ${count(result.faces)}${picture ? "" : "; the browser cannot show this kind of picture"}`);
  } catch (error) {
    say(`${chosen.name}: ${error.message}`, true);
  }
}

button.addEventListener("click", () => stream ? stopCamera() : startCamera());
file.addEventListener("change", showFile);
element("whole").addEventListener("change", showFile);
ask("/about").then((about) => {
  element("model").textContent = about.title + (about.drawn ? ". Drawn faces show nobody: what it says of you means nothing." : "");
  element("model").classList.toggle("drawn", about.drawn);
}).catch((error) => say(error.message, true));
