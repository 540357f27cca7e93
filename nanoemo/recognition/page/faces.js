"use strict";
// Takes a frame of the camera, or a chosen picture; sends it to the program that serves this page; draws what it finds.

import { Device, ORANGE, ask, chooser, element, introduce, percent, say, showBars } from "/page.js";

const FRAME = 640;          // pixels: the longer side of what is sent of the camera
const SHOWN = 1280;         // pixels: the longer side of a chosen picture as it is drawn
const MOST_BARS = 6;        // faces whose bars are shown
const canvas = element("picture"), video = element("video");

// ---- showing the answer

function show(source, width, height, result) {
  draw(source, width, height, result);
  showFaces(result.faces);
  canvas.setAttribute("aria-label", `the picture: ${names(result.faces)}`);
}

function draw(source, width, height, result) {
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.drawImage(source, 0, 0, width, height);
  const scale = width / result.width;
  const line = Math.max(2, Math.max(width, height) / 200);
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
    label(pen, headline(face, index), face.x * scale, face.y * scale, side);
  });
}

// Above the face, below it where there is no room, else in its upper edge; smaller on a small face, so that neighbours do not
// hide one another.
function label(pen, text, x, y, side) {
  const { width, height } = pen.canvas, longer = Math.max(width, height);
  const size = Math.max(longer / 64, Math.min(side / 4, longer / 28));
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const long = pen.measureText(text).width + size;
  const left = Math.min(Math.max(x - long / 2, 0), width - long);
  const above = y - 0.58 * side - 1.4 * size, below = y + 0.58 * side;
  const top = above >= 0 ? above : below + 1.4 * size <= height ? below : Math.max(0, y - side / 2);
  pen.fillStyle = ORANGE;
  pen.fillRect(left, top, long, 1.4 * size);
  pen.fillStyle = "white";
  pen.fillText(text, left + size / 2, top + 1.05 * size);
}

const headline = (face, index) => `${index + 1}  ${face.label} ${percent(face.probabilities[face.label])}`;

function showFaces(faces) {
  showBars(faces.slice(0, MOST_BARS).map((face, index) => ({ title: headline(face, index), ...face })));
}

// How many faces there are, and the label of each that has bars.
function names(faces) {
  if (faces.length === 0) return "no face found";
  const more = faces.length > MOST_BARS ? `; of the ${MOST_BARS} largest` : "";
  const labels = faces.slice(0, MOST_BARS).map((face) => face.label).join(", ");
  return `${faces.length} ${faces.length === 1 ? "face" : "faces"}${more}: ${labels}`;
}

function clear() {
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-label", "the picture");
  showFaces([]);
}

// The size of a picture with its longer side brought to `longest`.
function fitted(width, height, longest) {
  const scale = longest / Math.max(width, height);
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

// ---- the camera

class Camera extends Device {
  constructor() {
    super("camera", "picture", { video: { width: { ideal: 640 } }, audio: false });
  }

  async open(stream) {
    video.srcObject = stream;
    await video.play();
    this.before = performance.now();
    this.pace = 0;
  }

  close() {
    video.srcObject = null;
  }

  async take() {
    const longest = Math.min(FRAME, Math.max(video.videoWidth, video.videoHeight));
    const [width, height] = fitted(video.videoWidth, video.videoHeight, longest);
    const frame = new OffscreenCanvas(width, height);
    frame.getContext("2d").drawImage(video, 0, 0, width, height);
    const jpeg = await frame.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    return { frame, result: await ask("/recognize?camera", jpeg) };
  }

  show({ frame, result }) {
    show(frame, frame.width, frame.height, result);
    const now = performance.now();
    this.pace = 0.8 * (this.pace || now - this.before) + 0.2 * (now - this.before);
    this.before = now;
    say(names(result.faces), { beside: `${(1000 / this.pace).toFixed(1)} pictures a second` });
  }
}

// ---- a chosen picture

async function showFile(file, result, signal) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (signal.aborted) return "";
  if (picture) show(picture, ...fitted(result.width, result.height, SHOWN), result);
  else showFaces(result.faces);
  const smaller = result.faces.length ? "" : ". `nanoemo predict --search` looks for smaller ones, too";
  return names(result.faces) + smaller + (picture ? "" : "; the browser cannot show this kind of picture");
}

const about = await introduce("Drawn faces show nobody: what it says of you means nothing.");
const whole = element("whole");
const path = () => whole.checked ? "/recognize?whole" : "/recognize";
const send = chooser({ device: new Camera(), about, doing: "Looking at", path, clear, show: showFile });
whole.addEventListener("change", send);
